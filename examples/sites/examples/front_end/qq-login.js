// QQ login in a popup, for pages of the site and of trusted origins. Copy this file to the site.
//
//     import { onQqLogin, openQqLogin } from "./qq-login.js";
//
//     onQqLogin(async (outcome) => show(await whoIsSignedIn(), outcome));
//     button.onclick = () => openQqLogin("https://api.example.com/auth/qq/login");
//
// A login from another origin ends at `returnTo`, by default this page: import the file there too.
// It tells the outcome to the page that opened the popup, and closes the window.

const SOURCE = "qq_login";
const channel = new BroadcastChannel(SOURCE);
let popup = null;
let report = () => {};

// Calls `callback` with the outcome of each login in a popup: "ok", the code of an error,
// "blocked" or "closed". Any page of this origin can send such a message, and a browser may call a
// window closed that is still open. So take an outcome as a hint, and ask the site who is signed in.
export function onQqLogin(callback) {
  report = callback;
}

// Opens a login in a popup. Call it in the handler of a click, or the browser blocks the popup.
export async function openQqLogin(loginUrl, { intent, remember = true, returnTo = pageUrl() } = {}) {
  // An empty window first: later it would no longer belong to the click.
  popup = window.open("", SOURCE, "popup,width=760,height=600");
  if (!popup) return report("blocked");
  const url = new URL(loginUrl, location.href);
  const isOwn = url.origin === location.origin;
  url.searchParams.set("popup", "1");
  url.searchParams.set("return_to", isOwn ? returnTo.slice(location.origin.length) : returnTo);
  if (intent) url.searchParams.set("intent", intent);
  if (!remember) url.searchParams.set("remember", "0");
  try {
    const headers = { Accept: "application/json" };
    const reply = await fetch(url, { headers, credentials: "include" });
    const { authorize_url, code } = await reply.json();
    if (!reply.ok) return fail(code);
    popup.location.replace(authorize_url);
  } catch {
    return fail("unreachable");
  }
  watch(popup);
}

function fail(code) {
  popup.close();
  report(code);
}

// Reports that the user has closed the popup. QQ's page may separate it from this one, and then it
// counts as closed while it is open, so the outcome can still follow.
function watch(opened) {
  const timer = setInterval(() => {
    if (!opened.closed) return;
    clearInterval(timer);
    if (popup === opened) report("closed");
  }, 500);
}

function pageUrl() {
  return location.origin + location.pathname + location.search;
}

channel.onmessage = ({ data }) => {
  if (data?.source !== SOURCE || typeof data.outcome !== "string") return;
  if (popup) {
    // The popup closes.
    channel.postMessage({ source: SOURCE, seen: data.outcome });
    popup = null;
  }
  report(data.outcome);
};

// In the popup at its end: the layer has sent it here with the outcome.
const outcome = /^#qq_login=(\w+)$/.exec(location.hash)?.[1];
if (outcome) {
  history.replaceState(null, "", location.pathname + location.search);
  channel.onmessage = ({ data }) => {
    if (data?.source === SOURCE && data.seen === outcome) window.close();
  };
  channel.postMessage({ source: SOURCE, outcome });
  if (outcome === "ok" && !hasForeignOpener()) setTimeout(() => window.close(), 1000);
}

// A page of another origin that has opened this window could see it close.
function hasForeignOpener() {
  try {
    return Boolean(window.opener) && !window.opener.location.href;
  } catch {
    return true;
  }
}
