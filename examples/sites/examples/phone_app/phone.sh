#!/bin/sh
# Plays the phone app: signs in with an access token from QQ's SDK, and keeps cookies as an app does.
#
#   sh phone.sh SITE [ACCESS_TOKEN]
#
# Other users of the machine can read arguments. Without the second one, it reads the token from
# standard input.
set -eu

if [ $# -lt 1 ]; then
    echo "usage: sh phone.sh SITE [ACCESS_TOKEN]" >&2
    exit 2
fi
site=${1%/} token=${2:-}
[ -n "$token" ] || token=$(cat)

umask 077 # the cookies are a session
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
trap 'exit 1' HUP INT TERM

fail() {
    echo "$1" >&2
    exit 1
}

# step TITLE STATUS CURL-ARGUMENT...: sends a request, prints the status and the first line of the
# answer, and ends the script if it is another status.
step() {
    title=$1 wanted=$2
    shift 2
    : >"$folder/body"
    status=$(curl --silent --show-error --max-time 20 --output "$folder/body" \
        --write-out '%{http_code}' --header 'Accept: application/json' \
        --cookie "$folder/cookies" --cookie-jar "$folder/cookies" "$@")
    echo "$title: $status $(head -n 1 "$folder/body")"
    [ "$status" = "$wanted" ] || fail "expected $wanted"
}

step '未登录 signed out' 401 "$site/api/me"

# From standard input, so that the token is not in the arguments of curl.
step '登录 sign in' 200 --header 'Content-Type: application/json' --data @- \
    "$site/api/phone-login" <<END
{"access_token":"$token"}
END
step '当前用户 the user' 200 "$site/api/me"
step '网页 a page' 200 "$site/"
grep -q 'class="user"' "$folder/body" || fail 'the page does not show the user'

step '退出登录 sign out' 204 --request POST "$site/auth/qq/logout"
step '已退出 signed out' 401 "$site/api/me"
