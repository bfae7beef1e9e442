//! A window of a real Chromium, driven through chromedriver.

use std::time::Duration;

use fantoccini::{
    Client, ClientBuilder, Locator,
    actions::{InputSource, KeyAction, KeyActions},
    key::Key,
    wd::{WebDriverCompatibleCommand, WindowHandle},
};
use http::Method;
use hyper_util::client::legacy::connect::HttpConnector;
use serde_json::{Value, json};
use tokio::{runtime::Handle, task::block_in_place, time::timeout};
use url::{ParseError, Url};

use super::{
    avatars,
    browser::{Driver, Settings, capabilities, find_program},
};

/// A window of a new browser, which exits when the window is dropped.
pub(super) struct Window {
    client: Client,
    _driver: Driver,
}

impl Window {
    /// Opens a window, or skips the test if the browser is not installed.
    pub(super) async fn open(settings: Settings) -> Option<Self> {
        let (chromium, chromedriver) = (find_program("chromium")?, find_program("chromedriver")?);
        let (driver, url) = Driver::start(&chromedriver);
        let capabilities = capabilities(settings, &chromium, avatars::serve().await);
        let client = ClientBuilder::new(HttpConnector::new())
            .capabilities(capabilities)
            .connect(&url)
            .await
            .unwrap();
        Some(Self {
            client,
            _driver: driver,
        })
    }

    pub(super) async fn goto(&self, url: &str) {
        self.client.goto(url).await.unwrap();
    }

    pub(super) async fn back(&self) {
        self.client.back().await.unwrap();
    }

    pub(super) async fn reload(&self) {
        self.client.refresh().await.unwrap();
    }

    pub(super) async fn url(&self) -> String {
        self.client.current_url().await.unwrap().into()
    }

    /// Returns the visible text of the page.
    pub(super) async fn text(&self) -> String {
        let text = self.run("return document.body.innerText").await;
        text.as_str().unwrap().to_owned()
    }

    /// Clicks an element of a page that stays.
    pub(super) async fn tap(&self, selector: &str) {
        let element = self.client.find(Locator::Css(selector)).await.unwrap();
        element.click().await.unwrap();
    }

    /// Clicks an element by a script, for clicks that may close the window.
    pub(super) async fn click_by_script(&self, selector: &str) {
        let click = format!("document.querySelector('{selector}').click()");
        self.run(&click).await;
    }

    /// Clicks an element and waits until its page has been left.
    pub(super) async fn click(&self, selector: &str) {
        let element = self.client.find(Locator::Css(selector)).await.unwrap();
        element.click().await.unwrap();
        let leave = async { while element.tag_name().await.is_ok() {} };
        let left = timeout(Duration::from_secs(20), leave).await;
        left.unwrap_or_else(|_| panic!("{selector} does not lead to another page"));
    }

    /// Waits until the page shows a text.
    pub(super) async fn wait_for(&self, text: &str) {
        let script = "return document.body?.innerText ?? ''";
        let shows = async || {
            // Fails while the browser changes to another page.
            let shown = self.client.execute(script, Vec::new()).await;
            shown.is_ok_and(|shown| shown.as_str().is_some_and(|shown| shown.contains(text)))
        };
        let wait = async { while !shows().await {} };
        let waited = timeout(Duration::from_secs(20), wait).await;
        if waited.is_err() {
            panic!("{text:?} is not in {}", self.text().await);
        }
    }

    pub(super) async fn delete_cookies(&self) {
        self.client.delete_all_cookies().await.unwrap();
    }

    /// Returns the names of the cookies that the browser has for this page.
    pub(super) async fn cookie_names(&self) -> Vec<String> {
        let cookies = self.client.get_all_cookies().await.unwrap();
        let names = cookies.iter().map(|cookie| cookie.name().to_owned());
        names.collect()
    }

    pub(super) async fn press(&self, key: Key) {
        let value = key.into();
        let press = KeyActions::new("keyboard".into())
            .then(KeyAction::Down { value })
            .then(KeyAction::Up { value });
        self.client.perform_actions(press).await.unwrap();
    }

    /// Runs a script, which the content security policy of the page does not affect.
    pub(super) async fn run(&self, script: &str) -> Value {
        self.client.execute(script, Vec::new()).await.unwrap()
    }

    pub(super) async fn current_tab(&self) -> WindowHandle {
        self.client.window().await.unwrap()
    }

    /// Opens another tab and switches to it.
    pub(super) async fn open_tab(&self) {
        let tab = self.client.new_window(true).await.unwrap();
        self.switch_to(tab.handle).await;
    }

    /// Switches to the tab that a page has just opened.
    pub(super) async fn switch_to_new_tab(&self) {
        let current = self.current_tab().await;
        let tabs = self.wait_for_tabs(2).await;
        let new = tabs.into_iter().find(|tab| *tab != current);
        self.switch_to(new.expect("the page opens a tab")).await;
    }

    /// Waits until so many tabs and popups are open.
    pub(super) async fn wait_for_tabs(&self, number: usize) -> Vec<WindowHandle> {
        let open = async {
            loop {
                let tabs = self.tabs().await;
                if tabs.len() == number {
                    return tabs;
                }
            }
        };
        let waited = timeout(Duration::from_secs(20), open).await;
        waited.unwrap_or_else(|_| panic!("there are not {number} tabs"))
    }

    pub(super) async fn tabs(&self) -> Vec<WindowHandle> {
        self.client.windows().await.unwrap()
    }

    /// Closes the tab, as the user does.
    pub(super) async fn close_tab(&self) {
        self.client.close_window().await.unwrap();
    }

    pub(super) async fn switch_to(&self, tab: WindowHandle) {
        self.client.switch_to_window(tab).await.unwrap();
    }

    /// Sets a `name=value` for the site whose page is shown.
    pub(super) async fn set_cookie(&self, pair: &str) {
        let (name, value) = pair.split_once('=').unwrap();
        let url = self.url().await;
        let cookie =
            json!({ "name": name, "value": value, "url": url, "path": "/", "httpOnly": true });
        // Not `Client::add_cookie`: chromedriver refuses the `null` that it sends for no domain.
        self.send("Network.setCookie", cookie).await;
    }

    /// Emulates a screen of this size in CSS pixels and a preference for light or dark pages.
    pub(super) async fn emulate(&self, width: u32, height: u32, is_dark: bool) {
        let is_phone = width < 600;
        let size =
            json!({ "width": width, "height": height, "deviceScaleFactor": 1, "mobile": is_phone });
        self.send("Emulation.setDeviceMetricsOverride", size).await;
        let scheme = if is_dark { "dark" } else { "light" };
        let features = json!([{ "name": "prefers-color-scheme", "value": scheme }]);
        let media = json!({ "features": features });
        self.send("Emulation.setEmulatedMedia", media).await;
    }

    /// Returns what the window shows, as a PNG.
    pub(super) async fn screenshot(&self) -> Vec<u8> {
        self.client.screenshot().await.unwrap()
    }

    async fn send(&self, method: &'static str, params: Value) {
        let command = DevTools { method, params };
        self.client.issue_cmd(command).await.unwrap();
    }
}

impl Drop for Window {
    fn drop(&mut self) {
        // The driver closes the browser with the session. A task would no longer run at the end of
        // a test, so block, which needs `#[tokio::test(flavor = "multi_thread")]`.
        let close = self.client.clone().close();
        let _ = block_in_place(|| Handle::current().block_on(close));
    }
}

/// A command of the Chrome DevTools Protocol, for what WebDriver lacks.
#[derive(Debug)]
struct DevTools {
    method: &'static str,
    params: Value,
}

impl WebDriverCompatibleCommand for DevTools {
    fn endpoint(&self, base_url: &Url, session: Option<&str>) -> Result<Url, ParseError> {
        let session = session.unwrap();
        base_url.join(&format!("session/{session}/goog/cdp/execute"))
    }

    fn method_and_body(&self, _url: &Url) -> (Method, Option<String>) {
        let body = json!({ "cmd": self.method, "params": self.params });
        (Method::POST, Some(body.to_string()))
    }
}
