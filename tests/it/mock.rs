//! The mock QQ, called without the client of the crate.

use std::time::Duration;

use http::{Method, Request, Response, StatusCode, header};
use http_body_util::BodyExt;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};
use tower::ServiceExt;
use tower_qq_auth::mock::{Call, Endpoint, Fault, MockBody, MockQq, Numbers, Person, Shape};

mod phones;

const CALLBACK: &str = "https%3A%2F%2Fsite.example%2Fauth%2Fqq%2Fcallback";
const TOKEN: &str =
    "/oauth2.0/token?grant_type=authorization_code&client_id=101905280&client_secret=app-key";
const DAY: Duration = Duration::from_secs(86_400);

fn qq() -> MockQq {
    MockQq::new(
        "101905280",
        "app-key",
        "https://site.example/auth/qq/callback",
    )
}

fn authorize_url() -> String {
    authorize_url_with(&format!("redirect_uri={CALLBACK}"))
}

fn authorize_url_with(params: &str) -> String {
    format!(
        "https://graph.qq.com/oauth2.0/authorize?response_type=code&client_id=101905280&state=s-_1&{params}"
    )
}

async fn get(qq: &MockQq, uri: &str) -> Response<MockBody> {
    let request = Request::get(uri).body(()).unwrap();
    qq.clone().oneshot(request).await.unwrap()
}

async fn text(qq: &MockQq, uri: &str) -> String {
    let body = get(qq, uri).await.into_body().collect().await.unwrap();
    String::from_utf8(body.to_bytes().to_vec()).unwrap()
}

/// Returns the value of a query parameter or JSON string.
#[track_caller]
fn field(text: &str, name: &str) -> String {
    let json = format!("\"{name}\":\"");
    let form = format!("{name}=");
    let start = text.find(&json).map(|at| at + json.len());
    let start = start.or_else(|| text.find(&form).map(|at| at + form.len()));
    let value = &text[start.unwrap_or_else(|| panic!("{name} is not in {text}"))..];
    value.split(['"', '&']).next().unwrap().to_owned()
}

fn new_code(qq: &MockQq) -> String {
    field(&qq.approve(&authorize_url()).unwrap(), "code")
}

async fn redeem(qq: &MockQq, code: &str) -> String {
    text(
        qq,
        &format!("{TOKEN}&code={code}&redirect_uri={CALLBACK}&fmt=json"),
    )
    .await
}

async fn new_token(qq: &MockQq) -> String {
    field(&redeem(qq, &new_code(qq)).await, "access_token")
}

fn profile_uri(token: &str, openid: &str) -> String {
    format!("/user/get_user_info?access_token={token}&oauth_consumer_key=101905280&openid={openid}")
}

#[tokio::test]
async fn the_login_page_has_relative_links_and_escapes_nicknames() {
    let page = text(&qq(), &authorize_url()).await;
    for part in [
        "lang=\"zh-CN\"",
        "模拟",
        "mock",
        "&lt;b&gt;小红&lt;/b&gt; &amp; &quot;Co&quot;",
        "href=\"?response_type=code&amp;",
        "&amp;cancel=1\"",
    ] {
        assert!(page.contains(part), "{part} is not in {page}");
    }
    assert_eq!(page.matches("&amp;as=").count(), qq().people().len());
    assert!(!page.contains("<b>") && !page.contains("<script") && !page.contains("src="));

    let page = text(&qq(), &(authorize_url() + "&x='%22")).await;
    assert!(page.contains("&amp;x=&#x27;%22&amp;as="), "{page}");
}

#[tokio::test]
async fn links_of_the_login_page_lead_to_the_callback() {
    let qq = qq();
    let person = &qq.people()[1];
    let response = get(&qq, &format!("{}&as={}", authorize_url(), person.openid)).await;
    assert_eq!(response.status(), StatusCode::FOUND);
    let callback = response.headers()[header::LOCATION].to_str().unwrap();
    assert!(callback.starts_with("https://site.example/auth/qq/callback?code="));
    assert!(callback.ends_with("&state=s-_1"));
    let code = field(callback, "code");
    let hex = |byte: u8| matches!(byte, b'0'..=b'9' | b'A'..=b'F');
    assert!(code.len() == 32 && code.bytes().all(hex));

    let me = format!(
        "/oauth2.0/me?access_token={}",
        field(&redeem(&qq, &code).await, "access_token")
    );
    assert_eq!(
        text(&qq, &me).await,
        format!(
            "callback( {{\"client_id\":\"101905280\",\"openid\":\"{}\"}} );\n",
            person.openid
        )
    );

    let response = get(&qq, &(authorize_url() + "&cancel=1")).await;
    let callback = &response.headers()[header::LOCATION];
    assert_eq!(
        callback,
        "https://site.example/auth/qq/callback?usercancel=1&state=s-_1"
    );
}

#[tokio::test]
async fn authorize_redirects_bad_parameters_to_the_error_page() {
    let good = authorize_url();
    let bad_uri = |uri: &str| authorize_url_with(&format!("redirect_uri={uri}"));
    let cases = [
        (
            good.replace("response_type=code", "response_type=token"),
            100000,
        ),
        (good.replace("client_id=101905280", "client_id="), 100001),
        (good.replace("client_id=101905280", "client_id=1"), 100008),
        (authorize_url_with(""), 100010),
        (
            bad_uri("http%3A%2F%2Fsite.example%2Fauth%2Fqq%2Fcallback"),
            100010,
        ),
        (
            bad_uri("https%3A%2F%2Fsite.example%3A444%2Fauth%2Fqq%2Fcallback"),
            100010,
        ),
        (
            bad_uri("https%3A%2F%2Fevil.example%2Fauth%2Fqq%2Fcallback"),
            100010,
        ),
        (
            bad_uri("https%3A%2F%2Fa@site.example%2Fauth%2Fqq%2Fcallback"),
            100010,
        ),
        (bad_uri("https%3A%2F%2Fsite.example%2Fauth%2Fqq"), 100010),
        (bad_uri(&format!("{CALLBACK}%2F")), 100010),
        (bad_uri(&format!("{CALLBACK}%23x")), 100010),
        (good.replace("state=s-_1", "state="), 100029),
        (good.replace("state=s-_1", "state=a%3D"), 100029),
        (good.replace("state=s-_1", "state=a+b"), 100029),
    ];
    for (url, code) in cases {
        let qq = qq();
        assert_eq!(qq.approve(&url).unwrap_err().code(), code, "{url}");
        assert_eq!(qq.cancel(&url).unwrap_err().code(), code, "{url}");
        for url in [url.clone(), url + "&as=" + &qq.people()[0].openid] {
            let refused = get(&qq, &url).await;
            assert_eq!(refused.status(), StatusCode::FOUND, "{url}");
            let location = refused.headers()[header::LOCATION].to_str().unwrap();
            let page = format!("../oauth2.0/show?which=error&display=pc&error={code}&client_id=");
            assert!(location.starts_with(&page), "{location}");
        }
    }
    let qq = qq();
    assert_eq!(qq.approve_as(&good, "unknown").unwrap_err().code(), 100035);
    assert_eq!(
        qq.approve("https://graph.qq.com/").unwrap_err().code(),
        100029
    );
}

#[tokio::test]
async fn the_error_page_shows_the_error_as_qq_does_and_the_registered_app() {
    let qq = qq();
    let page = "/qq/oauth2.0/show?which=error&display=pc&error=100010";
    let response = text(&qq, &format!("{page}&client_id=101905280")).await;
    for part in [
        "redirect uri is illegal [appid: 101905280] (100010)",
        "<code>https://site.example/auth/qq/callback</code>",
    ] {
        assert!(response.contains(part), "{response}");
    }
    let response = text(&qq, &format!("{page}&client_id=%3Cb%3E")).await;
    assert!(response.contains("[appid: &lt;b&gt;]"), "{response}");
    let response = text(&qq, &page.replace("100010", "x")).await;
    assert!(response.contains("system error (0)"), "{response}");
    assert!(!response.contains("app-key"), "{response}");
    assert!(qq.journal().is_empty());

    let other = get(&qq, &page.replace("which=error", "which=Login")).await;
    assert_eq!(other.status(), StatusCode::NOT_FOUND);
}

#[test]
fn a_redirect_uri_with_a_slash_at_the_end_is_refused_even_if_it_is_registered() {
    for end in ["/auth/qq/callback/", "/", ""] {
        let redirect_uri = format!("https://site.example{end}");
        let qq = MockQq::new("101905280", "app-key", &redirect_uri);
        let url = authorize_url_with(&format!("redirect_uri={redirect_uri}"));
        assert_eq!(qq.approve(&url).unwrap_err().code(), 100010, "{end}");
    }
}

#[test]
fn several_redirect_uris_can_be_registered() {
    let registered = "https://a.example/qq;http://127.0.0.1:3000/qq";
    let qq = MockQq::new("101905280", "app-key", registered);
    for (redirect_uri, is_registered) in [
        ("https://a.example/qq", true),
        ("http://127.0.0.1:3000/qq", true),
        ("http://127.0.0.1:3001/qq", false),
        (registered, false),
    ] {
        let url = authorize_url_with(&format!("redirect_uri={redirect_uri}"));
        assert_eq!(qq.approve(&url).is_ok(), is_registered, "{redirect_uri}");
    }
}

#[test]
fn keeps_the_query_of_the_redirect_uri() {
    for (query, joined) in [
        ("", "?"),
        ("%3F", "?"),
        ("%3Fa%3D1", "?a=1&"),
        ("%3Fa%3D1%26", "?a=1&"),
    ] {
        let url = authorize_url_with(&format!("redirect_uri={CALLBACK}{query}"));
        let callback = qq().cancel(&url).unwrap();
        let end = format!("/callback{joined}usercancel=1&state=s-_1");
        assert!(callback.ends_with(&end), "{callback}");
    }
}

#[tokio::test]
async fn the_token_reply_has_the_requested_shape() {
    let qq = qq();
    let openid = qq.people()[0].openid.clone();
    let form = text(
        &qq,
        &format!("{TOKEN}&code={}&redirect_uri={CALLBACK}", new_code(&qq)),
    )
    .await;
    let (access, refresh) = (field(&form, "access_token"), field(&form, "refresh_token"));
    assert_eq!(
        form,
        format!("access_token={access}&expires_in=5184000&refresh_token={refresh}")
    );

    let json = redeem(&qq, &(new_code(&qq) + "&need_openid=1")).await;
    let (access, refresh) = (field(&json, "access_token"), field(&json, "refresh_token"));
    assert_eq!(
        json,
        format!(
            r#"{{"access_token":"{access}","expires_in":5184000,"openid":"{openid}","refresh_token":"{refresh}"}}"#
        )
    );

    qq.ignore_need_openid(true);
    for code in [new_code(&qq), new_code(&qq) + "&need_openid=1"] {
        let json = redeem(&qq, &code).await;
        let (access, refresh) = (field(&json, "access_token"), field(&json, "refresh_token"));
        assert_eq!(
            json,
            format!(
                r#"{{"access_token":"{access}","expires_in":"5184000","refresh_token":"{refresh}"}}"#
            )
        );
    }
}

#[tokio::test]
async fn the_token_endpoint_checks_every_parameter() {
    let good = format!("{TOKEN}&code=CODE&redirect_uri={CALLBACK}&fmt=json");
    let cases = [
        (
            "grant_type=authorization_code",
            "grant_type=password",
            100004,
        ),
        ("client_id=101905280", "client_id=", 100001),
        ("client_id=101905280", "client_id=1", 100008),
        ("client_secret=app-key", "", 100002),
        ("client_secret=app-key", "client_secret=wrong", 100009),
        (
            "client_secret=app-key&code=CODE",
            "client_secret=wrong",
            100009,
        ),
        (
            "client_id=101905280&client_secret=app-key&code=CODE",
            "client_id=1",
            100008,
        ),
        ("code=CODE", "", 100005),
        ("code=CODE", "code=0123456789ABCDEF0123456789ABCDEF", 100019),
        ("callback", "callback%3Fx", 100010),
        ("authorization_code", "refresh_token", 100006),
    ];
    for (valid, invalid, error) in cases {
        let qq = qq();
        let uri = good.replace(valid, invalid).replace("CODE", &new_code(&qq));
        let response = text(&qq, &uri).await;
        assert!(
            response.starts_with(&format!("{{\"error\":{error},\"error_desc")),
            "{response}"
        );
    }
}

#[tokio::test]
async fn a_code_works_once_and_for_ten_minutes() {
    let qq = qq();
    let used = new_code(&qq);
    redeem(&qq, &used).await;
    let reply = text(&qq, &format!("{TOKEN}&code={used}&redirect_uri={CALLBACK}")).await;
    assert_eq!(
        reply,
        "callback( {\"error\":100020,\"error_description\":\"code is reused error\"} );\n"
    );

    let late = new_code(&qq);
    qq.advance(Duration::from_secs(600));
    assert!(redeem(&qq, &late).await.contains("100067"));
}

#[tokio::test]
async fn a_refresh_token_works_once_and_its_chain_for_ninety_days() {
    let qq = qq();
    let refresh = async |token: &str| {
        let uri = TOKEN.replace("authorization_code", "refresh_token");
        text(&qq, &format!("{uri}&refresh_token={token}&fmt=json")).await
    };
    let first = field(&redeem(&qq, &new_code(&qq)).await, "refresh_token");
    let second = field(&refresh(&first).await, "refresh_token");
    assert!(refresh(&first).await.contains("100036"));
    qq.advance(80 * DAY);
    let third = field(&refresh(&second).await, "refresh_token");
    qq.advance(10 * DAY);
    assert!(refresh(&third).await.contains("100037"));

    let revoked = field(&redeem(&qq, &new_code(&qq)).await, "refresh_token");
    qq.revoke_tokens(&qq.people()[0].openid);
    assert!(refresh(&revoked).await.contains("100038"));
}

#[tokio::test]
async fn access_tokens_are_checked_expire_and_can_be_revoked() {
    let qq = qq();
    let openid = qq.people()[0].openid.clone();
    let me =
        async |token: &str| text(&qq, &format!("/oauth2.0/me?access_token={token}&fmt=json")).await;
    let profile = async |token: &str| text(&qq, &profile_uri(token, &openid)).await;

    assert!(me("").await.contains("100007"));
    assert_eq!(
        me("x").await,
        r#"{"error":100013,"error_description":"access token is illegal"}"#
    );
    assert_eq!(profile("").await, r#"{"ret":1002,"msg":"请先登录"}"#);

    let old = new_token(&qq).await;
    qq.advance(60 * DAY);
    assert!(me(&old).await.contains("100014"));
    assert_eq!(
        profile(&old).await,
        r#"{"ret":-23,"msg":"token is invalid"}"#
    );

    let revoked = new_token(&qq).await;
    qq.revoke_tokens(&openid);
    assert!(me(&revoked).await.contains("100015"));

    let token = new_token(&qq).await;
    let wrong = r#"{"ret":-22,"msg":"openid is invalid"}"#;
    let other = &qq.people()[1].openid;
    for uri in [
        profile_uri(&token, other),
        profile_uri(&token, "0123456789ABCDEF0123456789ABCDEF"),
        profile_uri(&openid, &token), // swapped
    ] {
        assert_eq!(text(&qq, &uri).await, wrong);
    }
    for odd in ["", "other"] {
        assert_eq!(
            text(&qq, &profile_uri(&token, odd)).await,
            r#"{"ret":-1,"msg":"client request's parameters are invalid, invalid openid"}"#
        );
    }
    let other_app = profile_uri(&token, &openid).replace("101905280", "1");
    assert!(text(&qq, &other_app).await.contains("100008"));
}

#[tokio::test]
async fn unionids_are_granted_refused_or_omitted() {
    let qq = qq();
    let person = &qq.people()[0];
    let me = format!(
        "/oauth2.0/me?access_token={}&fmt=json",
        new_token(&qq).await
    );
    let with_unionid = format!("{me}&unionid=1");
    let without_unionid = format!(
        r#"{{"client_id":"101905280","openid":"{}"}}"#,
        person.openid
    );
    assert_eq!(
        text(&qq, &with_unionid).await,
        r#"{"error":100048,"error_description":"companyid not set"}"#
    );
    qq.omit_union_id(true);
    assert_eq!(text(&qq, &with_unionid).await, without_unionid);
    qq.grant_union_id(true);
    assert_eq!(
        field(&text(&qq, &with_unionid).await, "unionid"),
        person.unionid
    );
    assert_eq!(text(&qq, &me).await, without_unionid);
}

#[tokio::test]
async fn the_profile_looks_like_a_real_reply() {
    let qq = qq();
    let mut person = Person::new("A210B97CFC8AAF903F3ACDEC01B830C9", "小晨");
    let picture = |size| format!("http://thirdqq.qlogo.cn/ek_qqapp/{PICTURE}/{size}");
    person.avatar_40 = picture(40);
    person.avatar_100 = picture(100);
    person.avatar_640 = picture(0);
    qq.set_people([person]);
    let uri = profile_uri(&new_token(&qq).await, "A210B97CFC8AAF903F3ACDEC01B830C9");
    assert_eq!(text(&qq, &uri).await, PROFILE.replace("PICTURE", PICTURE));

    qq.shape(Endpoint::UserInfo, Shape::Json)
        .numbers(Numbers::Strings)
        .escape_slashes(true);
    let compact = text(&qq, &uri).await;
    assert!(
        compact.starts_with(r#"{"ret":"0","msg":"","is_lost":"0","nickname""#),
        "{compact}"
    );
    assert!(
        compact.contains(r"http:\/\/thirdqq.qlogo.cn\/ek_qqapp\/"),
        "{compact}"
    );
    qq.numbers(Numbers::Numbers).escape_slashes(false);
    assert!(text(&qq, &uri).await.contains(r#""vip":0,"#));
    assert!(!text(&qq, &uri).await.contains('\\'));
}

const PICTURE: &str = "AQRisGkwAGgsORYol4LYUkQV4F5i0Ahw1o5C4d8NFrJfo46toxXuJm1le3lZYhB9HKTO18dHVYmLdRZquLGP3pATj4WAkoh8ZV";

/// A real reply of 2024 with identifiers replaced.
const PROFILE: &str = r#"{
    "ret": 0,
    "msg": "",
    "is_lost": 0,
    "nickname": "小晨",
    "gender": "男",
    "gender_type": 2,
    "province": "广东",
    "city": "深圳",
    "year": "1990",
    "figureurl": "http://thirdqq.qlogo.cn/ek_qqapp/PICTURE/40",
    "figureurl_1": "http://thirdqq.qlogo.cn/ek_qqapp/PICTURE/40",
    "figureurl_2": "http://thirdqq.qlogo.cn/ek_qqapp/PICTURE/100",
    "figureurl_qq_1": "http://thirdqq.qlogo.cn/ek_qqapp/PICTURE/40",
    "figureurl_qq_2": "http://thirdqq.qlogo.cn/ek_qqapp/PICTURE/100",
    "figureurl_qq": "http://thirdqq.qlogo.cn/ek_qqapp/PICTURE/0",
    "is_yellow_vip": "0",
    "vip": "0",
    "yellow_vip_level": "0",
    "level": "0",
    "is_yellow_year_vip": "0"
}
"#;

#[tokio::test]
async fn every_shape_applies_to_results_and_errors() {
    let cases = [
        (
            Shape::Json,
            r#"{"error":1,"error_description":"system error"}"#,
        ),
        (
            Shape::JsonPretty,
            "{\n    \"error\": 1,\n    \"error_description\": \"system error\"\n}\n",
        ),
        (
            Shape::Jsonp,
            "callback( {\"error\":1,\"error_description\":\"system error\"} );\n",
        ),
        (
            Shape::JsonpCompact,
            r#"callback({"error":1,"error_description":"system error"});"#,
        ),
        (
            Shape::JsonpLines,
            "callback(\n{\n    \"error\": 1,\n    \"error_description\": \"system error\"\n}\n)\n",
        ),
        (Shape::Form, "code=1&msg=system%20error"),
    ];
    for (shape, error) in cases {
        let qq = qq();
        let code = new_code(&qq);
        qq.shape(Endpoint::Token, shape)
            .fault(Endpoint::Token, 1, Fault::Code(1));
        assert_eq!(redeem(&qq, &code).await, error);
        let response = redeem(&qq, &code).await;
        assert_eq!(
            response.starts_with("callback("),
            error.starts_with("callback("),
            "{response}"
        );
        assert!(response.contains("5184000"), "{response}");
    }
}

#[tokio::test]
async fn other_apis_require_token_app_id_openid_and_scope() {
    let qq = qq();
    qq.api("/user/get_vip_info", r#"{"ret":0,"vip":"1"}"#);
    let url = authorize_url() + "&scope=get_user_info,get_vip_info";
    let token = redeem(&qq, &field(&qq.approve(&url).unwrap(), "code")).await;
    let uri =
        |token: &str| profile_uri(token, &qq.people()[0].openid).replace("user_info", "vip_info");
    assert_eq!(
        text(&qq, &uri(&field(&token, "access_token"))).await,
        r#"{"ret":0,"vip":"1"}"#
    );
    let narrow = new_token(&qq).await;
    assert!(
        text(&qq, &uri(&narrow))
            .await
            .starts_with(r#"{"ret":100030,"#)
    );
    assert_eq!(qq.calls(Endpoint::Api), 2);
}

#[tokio::test(start_paused = true)]
async fn faults_happen_in_order_and_then_stop() {
    let qq = qq();
    let me = format!(
        "/oauth2.0/me?access_token={}&fmt=json",
        new_token(&qq).await
    );
    let good = text(&qq, &me).await;
    let busy = Response::builder().status(503).header("retry-after", "7");
    qq.fault(Endpoint::Me, 2, Fault::Code(100013))
        .fault(Endpoint::Me, 1, Fault::Silence)
        .fault(Endpoint::Me, 1, Fault::Latency(Duration::from_secs(4)))
        .fault(Endpoint::Me, 1, Fault::CutBody)
        .fault(Endpoint::Me, 1, Fault::Drip(Duration::from_millis(200)))
        .fault(Endpoint::Me, 1, Fault::Status(StatusCode::BAD_GATEWAY))
        .fault(Endpoint::Me, 1, busy.body("later").unwrap())
        .reply(Endpoint::Me, "anything");

    for _ in 0..2 {
        assert!(text(&qq, &me).await.contains("100013"));
    }
    let minute = Duration::from_secs(60);
    assert!(tokio::time::timeout(minute, get(&qq, &me)).await.is_err());
    let start = tokio::time::Instant::now();
    assert_eq!(text(&qq, &me).await, good);
    assert_eq!(start.elapsed().as_secs(), 4);

    let cut = get(&qq, &me).await;
    assert_eq!(
        cut.headers()[header::CONTENT_LENGTH],
        good.len().to_string()
    );
    let error = cut.into_body().collect().await.unwrap_err();
    assert_eq!(error.to_string(), "the mock cut the body off");

    let start = tokio::time::Instant::now();
    assert_eq!(text(&qq, &me).await, good);
    assert!(start.elapsed() >= Duration::from_millis(200) * good.len() as u32);

    assert_eq!(get(&qq, &me).await.status(), StatusCode::BAD_GATEWAY);
    let busy = get(&qq, &me).await;
    assert_eq!(
        (busy.status().as_u16(), &busy.headers()["retry-after"]),
        (503, &"7".parse().unwrap())
    );
    assert_eq!(text(&qq, &me).await, "anything");
    assert_eq!(text(&qq, &me).await, good);
    assert_eq!(qq.calls(Endpoint::Me), 11);

    qq.fault(Endpoint::Me, usize::MAX, Fault::Code(100062));
    assert!(text(&qq, &me).await.contains("100062"));
    qq.clear_faults();
    assert_eq!(text(&qq, &me).await, good);
}

#[tokio::test]
async fn the_journal_records_requests() {
    let qq = qq();
    qq.approve(&(authorize_url() + "&display=mobile")).unwrap();
    let request = Request::get("/x/oauth2.0/token?code=a%20b&code=c&empty=").header("referer", "r");
    qq.clone().oneshot(request.body(()).unwrap()).await.unwrap();
    get(&qq, "/elsewhere").await;

    let journal = qq.journal();
    let endpoints: Vec<Endpoint> = journal.iter().map(|call| call.endpoint).collect();
    assert_eq!(endpoints, [Endpoint::Authorize, Endpoint::Token]);
    assert_eq!(journal[0].param("display"), Some("mobile"));
    let call: &Call = &journal[1];
    assert_eq!(
        (&*call.path, &*call.query),
        ("/x/oauth2.0/token", "code=a%20b&code=c&empty=")
    );
    assert_eq!(
        (call.param("code"), call.param("empty"), call.param("no")),
        (Some("a b"), Some(""), None)
    );
    assert_eq!(call.params.len(), 3);
    assert_eq!(call.headers["referer"], "r");
}

#[tokio::test]
async fn rejects_other_paths_and_methods() {
    let qq = qq();
    assert_eq!(get(&qq, "/").await.status(), StatusCode::NOT_FOUND);
    for method in [Method::POST, Method::HEAD, Method::OPTIONS] {
        let request = Request::builder()
            .method(method)
            .uri(authorize_url())
            .body(())
            .unwrap();
        let response = qq.clone().oneshot(request).await.unwrap();
        assert_eq!(response.status(), StatusCode::METHOD_NOT_ALLOWED);
        assert_eq!(response.headers()[header::ALLOW], "GET");
    }
}

#[test]
fn debug_does_not_leak_the_key() {
    let debug = format!("{:?}", qq());
    assert!(
        debug.contains("101905280") && !debug.contains("app-key"),
        "{debug}"
    );
}

#[tokio::test]
async fn can_be_mounted_below_a_prefix() {
    let app = axum::Router::<()>::new().nest_service("/qq", qq());
    let uri = authorize_url().replace("https://graph.qq.com", "/qq");
    let request = Request::get(uri).body(axum::body::Body::empty()).unwrap();
    let response = app.oneshot(request).await.unwrap();
    let page = response.into_body().collect().await.unwrap().to_bytes();
    assert!(String::from_utf8_lossy(&page).contains("href=\"?response_type=code"));
}

#[tokio::test]
async fn a_cut_body_and_a_stopped_server_break_socket_connections() {
    let qq = qq();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let server = tokio::spawn(qq.clone().serve(listener));
    let request = b"GET /oauth2.0/me?fmt=json HTTP/1.1\r\nhost: graph.qq.com\r\n\r\n";
    let whole = br#"{"error":100007,"error_description":"param access_token is wrong or lost "}"#;

    let mut idle = TcpStream::connect(address).await.unwrap();
    idle.write_all(request).await.unwrap();
    let mut response = Vec::new();
    while !response.ends_with(whole) {
        assert_ne!(idle.read_buf(&mut response).await.unwrap(), 0);
    }
    assert!(response.starts_with(b"HTTP/1.1 200 OK\r\ncontent-type: text/html\r\n"));

    qq.fault(Endpoint::Me, 1, Fault::CutBody);
    let mut cut = TcpStream::connect(address).await.unwrap();
    cut.write_all(request).await.unwrap();
    let mut response = Vec::new();
    // The connection may be closed or reset.
    let _ = cut.read_to_end(&mut response).await;
    let response = String::from_utf8(response).unwrap();
    assert!(
        response.contains(&format!("content-length: {}", whole.len())),
        "{response}"
    );
    let half = &whole[..whole.len() / 2];
    assert!(response.as_bytes().ends_with(half), "{response}");

    server.abort();
    assert!(server.await.unwrap_err().is_cancelled());
    assert!(matches!(idle.read(&mut [0]).await, Ok(0) | Err(_)));
}

#[test]
fn memory_stays_bounded_and_the_oldest_entries_go_first() {
    const KEPT: usize = 4096;
    let qq = qq();
    qq.set_people([Person::new("FIRST", "first")]);
    let runtime = tokio::runtime::Builder::new_current_thread().build();
    let runtime = runtime.unwrap();
    let log_in = async || {
        let code = new_code(&qq);
        let reply = redeem(&qq, &code).await;
        (code, field(&reply, "access_token"))
    };
    let log_in_often = |times: usize| {
        runtime.block_on(async {
            for _ in 0..times {
                qq.add_person(Person::new("ONE-MORE", "one more"));
                log_in().await;
            }
        });
    };
    let (code, token) = runtime.block_on(log_in());
    // Twice, as a full hash map grows once more.
    log_in_often(2 * KEPT);
    let measured = allocation_counter::measure(|| log_in_often(1000));
    assert!(measured.count_total > 1000, "the counter counts");
    assert!(measured.bytes_current < 100_000, "{measured:?}");

    let logins = 1 + 2 * KEPT + 1000;
    assert_eq!((qq.journal().len(), qq.people().len()), (KEPT, KEPT));
    assert_eq!(qq.calls(Endpoint::Authorize), logins);
    assert_eq!(qq.calls(Endpoint::Token), logins);
    runtime.block_on(async {
        let me = async |token: &str| {
            text(&qq, &format!("/oauth2.0/me?access_token={token}&fmt=json")).await
        };
        let (last_code, last_token) = log_in().await;
        assert!(me(&last_token).await.contains("ONE-MORE"));
        assert!(redeem(&qq, &last_code).await.contains("100020"));
        assert!(me(&token).await.contains("100013"));
        assert!(redeem(&qq, &code).await.contains("100019"));
        assert_eq!(qq.journal().pop().unwrap().param("code"), Some(&*code));
    });
}
