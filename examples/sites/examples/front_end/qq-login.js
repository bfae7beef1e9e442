// QQ login in a popup, for pages of the site and of trusted origins. Copy this file to the site.
//
//     import { onQqLogin, openQqLogin } from "./qq-login.js";
//
//     onQqLogin(async (outcome) => show(await whoIsSignedIn(), outcome));
//     button.onclick = () => openQqLogin("https://api.example.com/auth/qq/login");
//
// A login from another origin ends at `returnTo`, by default this page. Import this file there too,
// before a router that reads the fragment: it tells the outcome to the page that opened the popup,
// and closes the window.

const SOURCE = "qq_login";
// A second click finds the window by its name, which no other page can guess and take for itself.
const WINDOW = SOURCE + Math.random();
// Browsers from before 2022 may have no channel, and then no popup works.
const channel = "BroadcastChannel" in window ? new BroadcastChannel(SOURCE) : null;
/** @type {Set<(outcome: string) => unknown>} */
const callbacks = new Set();
// The login that this page waits for. `grace` is the number of looks at the window for which a
// failure explains that it is closed.
/** @type {{ grace: number } | null} */
let waiting = null;
// In a popup that has just ended, its outcome, which the layer puts into the fragment.
let ending = /^#qq_login=([a-z_]{1,32})$/.exec(location.hash)?.[1];

/**
 * Calls `callback` with each outcome of a login in a popup: "ok" in all open pages of this origin;
 * an error code, "blocked", "closed" or "unreachable" in pages that wait for a popup. Take it as a
 * hint, and ask the site who is signed in: any page of this origin can send one, a failure may be
 * another tab's, and a browser may call a window closed that is still open.
 *
 * The popup of a failure closes, unless a callback returns `false` or a promise of it. Then the
 * page with the reason and the support code stays.
 * @param {(outcome: string) => unknown} callback
 * @returns {() => void} a function that removes the callback
 */
export function onQqLogin(callback) {
  callbacks.add(callback);
  return () => void callbacks.delete(callback);
}

/**
 * Opens a login in a popup. Call it in the handler of a click, or the browser blocks the popup.
 * @param {string | URL} loginUrl
 * @param {{ intent?: string, remember?: boolean, returnTo?: string | URL }} [options]
 */
export async function openQqLogin(loginUrl, options = {}) {
  const { intent, remember = true, returnTo = pageUrl() } = options;
  // An empty window first: after the request it would no longer belong to the click. A second click
  // gets the window of the first, and starts over in it.
  const popup = channel && window.open("", WINDOW, "popup,width=760,height=600");
  if (!popup) return void report("blocked");
  popup.focus();
  const login = (waiting = { grace: 0 });
  const url = new URL(loginUrl, location.href);
  const page = new URL(returnTo, location.href);
  // The layer takes its own pages by their path.
  const isOwn = url.origin === page.origin;
  url.searchParams.set("popup", "1");
  url.searchParams.set("return_to", isOwn ? page.pathname + page.search + page.hash : page.href);
  if (intent) url.searchParams.set("intent", intent);
  if (!remember) url.searchParams.set("remember", "0");
  const { authorize_url, code = "unreachable" } = await start(url);
  if (waiting !== login) {
    // Another tab has signed in meanwhile, or a second click uses the window.
    if (!waiting) popup.close();
  } else if (authorize_url) {
    popup.location.replace(authorize_url);
    watch(popup, login);
  } else {
    popup.close();
    waiting = null;
    report(code);
  }
}

// Returns the URL of QQ's page or an error code, and neither if the network or CORS fails.
/** @param {URL} url @returns {Promise<{ authorize_url?: string, code?: string }>} */
async function start(url) {
  const abort = new AbortController();
  setTimeout(() => abort.abort(), 15_000);
  try {
    const headers = { Accept: "application/json" };
    const reply = await fetch(url, { headers, signal: abort.signal, credentials: "include" });
    return (await reply.json()) ?? {};
  } catch {
    return {};
  }
}

// Reports that the user has closed the popup. A page that is cut off from its popups, by its own
// Cross-Origin-Opener-Policy or QQ's, sees them closed at once, so it goes on waiting.
/** @param {Window} popup @param {{ grace: number }} login */
function watch(popup, login) {
  const timer = setInterval(() => {
    if (waiting === login && !popup.closed) return void login.grace--;
    clearInterval(timer);
    if (waiting !== login) return;
    if (login.grace > 0) waiting = null;
    else report("closed");
  }, 500);
}

// Returns whether the popup may close.
/** @param {string} outcome */
async function report(outcome) {
  // A callback that throws does not stop the others.
  const answers = await Promise.all([...callbacks].map(async (callback) => callback(outcome)));
  return !answers.includes(false);
}

function pageUrl() {
  return location.origin + location.pathname + location.search;
}

if (channel) channel.onmessage = async ({ data }) => {
  if (data?.source !== SOURCE) return;
  if (ending && data.seen === ending) return window.close();
  const { outcome } = data;
  const login = waiting;
  if (outcome === "ok") {
    waiting = null;
    report(outcome);
  } else if (login && typeof outcome === "string") {
    // It may be another tab's failure, so the waiting goes on. And another tab may acknowledge it
    // while the callbacks of this one run.
    login.grace = Infinity;
    const mayClose = await report(outcome);
    login.grace = mayClose ? 4 : 0;
    if (!mayClose) return;
  } else {
    return;
  }
  // The popup closes.
  if (login) channel.postMessage({ source: SOURCE, seen: outcome });
};

if (channel && ending) {
  const outcome = ending;
  history.replaceState(history.state, "", location.pathname + location.search);
  channel.postMessage({ source: SOURCE, outcome });
  // A failure leaves the callbacks of the opener time to answer.
  setTimeout(() => {
    if (outcome === "ok" && !hasForeignOpener()) window.close();
    // If this window is still open, it is a page like any other from now on.
    ending = undefined;
    report(outcome);
  }, outcome === "ok" ? 1000 : 3000);
}

// A page of another origin that has opened this window could see it close.
function hasForeignOpener() {
  try {
    void window.opener?.location.href;
    return false;
  } catch {
    return true;
  }
}
