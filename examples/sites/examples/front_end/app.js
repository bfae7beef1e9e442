// A page whose API is on another origin. On the API's own origin `api` would be "".

import { onQqLogin, openQqLogin } from "./qq-login.js";

const api = document.querySelector("meta[name=api]").content;
const loginUrl = `${api}/auth/qq/login`;
const element = (id) => document.getElementById(id);
const draft = element("draft");
// Whether a note waits for a login.
let isSaving = false;
// Only the latest answer counts, whichever arrives last.
let refreshes = 0;

const MESSAGES = {
  blocked: "浏览器拦截了登录窗口，请允许弹出窗口或使用“跳转登录”。",
  cancelled: "已取消登录。",
  // The app's own refusal: see `admit`.
  refused: "这个 QQ 已绑定其他账号。",
  unreachable: "无法连接服务器，请稍后重试。",
};

// Without `credentials` the browser would neither send nor keep the cookies of another origin.
function request(path, options) {
  return fetch(api + path, { credentials: "include", cache: "no-store", ...options });
}

// Returns the JSON of a response, or `null` for a user who is signed out.
async function load(path) {
  const response = await request(path);
  if (response.status === 401) return null;
  if (!response.ok) throw new Error(`${path}: ${response.status}`);
  return response.json();
}

function showStatus(text) {
  element("status").textContent = text;
}

// Asks the API who is signed in, and shows it. Returns whether a user is.
async function refresh() {
  const turn = ++refreshes;
  try {
    const user = await load("/api/me");
    // The user may have signed out meanwhile.
    const account = user && (await load("/api/account"));
    if (turn === refreshes) showUser(user, account);
    return Boolean(account);
  } catch {
    showStatus(MESSAGES.unreachable);
    return false;
  }
}

function showUser(user, account) {
  element("signed-in").hidden = !account;
  element("signed-out").hidden = Boolean(account);
  if (!account) return;
  element("name").textContent = user.nickname || "QQ 用户";
  element("account").textContent = `账号 ${account.id} · 已绑定 QQ：${account.users.join("、")}`;
}

// The draft survives a login by redirect as well, for which the browser leaves the page.
function setDraft(text) {
  draft.value = text;
  sessionStorage.setItem("draft", text);
}
setDraft(sessionStorage.getItem("draft") ?? "");
draft.oninput = () => setDraft(draft.value);

async function save() {
  const headers = { "Content-Type": "application/json" };
  const body = JSON.stringify({ text: draft.value });
  const response = await request("/api/notes", { method: "POST", headers, body });
  isSaving = response.status === 401;
  if (isSaving) {
    await refresh();
    // Opening the popup here would be too late: the browser allows it only on a click.
    showStatus("请先登录。内容不会丢失，登录后自动保存。");
    element("popup").focus();
  } else if (response.ok) {
    const note = await response.json();
    setDraft("");
    showStatus(`已保存：${note.text}`);
  } else {
    showStatus(`保存失败（${response.status}），请重试。`);
  }
}

async function signOut() {
  isSaving = false;
  const response = await request("/auth/qq/logout", { method: "POST" });
  showStatus(response.ok ? "已退出登录。" : `退出失败（${response.status}），请重试。`);
  await refresh();
}

// Runs an action, and shows a failure of the network.
async function run(action) {
  showStatus("");
  await action().catch(() => showStatus(MESSAGES.unreachable));
}

const here = encodeURIComponent(location.origin + location.pathname);
element("redirect").href = `${loginUrl}?return_to=${here}`;
element("popup").onclick = () => run(() => openQqLogin(loginUrl));
element("bind").onclick = () => run(() => openQqLogin(loginUrl, { intent: "bind" }));
element("sign-out").onclick = () => run(signOut);
element("form").onsubmit = (event) => {
  event.preventDefault();
  run(save);
};

// An outcome is a hint: the API knows who is signed in.
onQqLogin(async (outcome) => {
  const isSignedIn = await refresh();
  if (isSignedIn && isSaving) return run(save);
  if (outcome === "ok") showStatus("");
  else if (outcome !== "closed") showStatus(MESSAGES[outcome] ?? `登录未完成（${outcome}），请重试。`);
});

// The page may come back as it was left, by the Back button or from another tab, and the user may
// have signed in or out meanwhile.
addEventListener("pageshow", ({ persisted }) => persisted && refresh());
document.addEventListener("visibilitychange", () => document.hidden || refresh());

refresh();
