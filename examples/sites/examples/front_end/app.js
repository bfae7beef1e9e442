// A page whose API is on another origin. On the API's own origin `api` would be "".

import { onQqLogin, openQqLogin } from "./qq-login.js";

const api = document.querySelector("meta[name=api]").content;
const loginUrl = `${api}/auth/qq/login`;
const element = (id) => document.getElementById(id);
const draft = element("draft");
// A popup starts with a copy of sessionStorage, and must not save as well. So the page leaves there
// that a note waits for a login only while it is away.
const SAVING = "saving";
let isSaving = sessionStorage.getItem(SAVING) !== null;
let isBinding = false;
// Only the latest answer counts, whichever arrives last.
let refreshes = 0;

const UNREACHABLE = ["无法连接服务器，请稍后重试。", "The server cannot be reached. Try again later."];
const MESSAGES = new Map([
  ["blocked", ["浏览器拦截了弹窗，请允许弹窗，或改用跳转登录。", "The browser blocked the popup."]],
  ["cancelled", ["已取消登录。", "Login cancelled."]],
  ["login_required", ["登录已失效，请重新登录。", "The session is over. Sign in again."]],
  // The app's own refusal: see `admit`. The page with its text is not shown in this popup.
  ["refused", ["这个 QQ 已绑定其他账号。", "This QQ belongs to another account."]],
  ["unreachable", UNREACHABLE],
]);

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

// Shows a text in both languages, or none, in this place only.
function showStatus(texts, place = "status") {
  for (const id of ["status", "bind-status"]) element(id).replaceChildren();
  if (!texts) return;
  const [chinese, english] = texts;
  const small = Object.assign(document.createElement("small"), { lang: "en", textContent: english });
  element(place).replaceChildren(chinese, " ", small);
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
    showStatus(UNREACHABLE);
    return false;
  }
}

function showUser(user, account) {
  element("signed-in").hidden = !account;
  element("signed-out").hidden = Boolean(account);
  // The main action is to save, but first to sign in.
  element("save").classList.toggle("secondary", !account);
  if (!account) return;
  const name = (nickname) => nickname || "QQ 用户";
  element("name").textContent = name(user.nickname);
  element("account").textContent =
    `账号 ${account.id} · 已绑定 QQ：${account.users.map(name).join("、")}`;
}

// The draft survives a login by redirect as well, for which the browser leaves the page.
function setDraft(text) {
  draft.value = text;
  sessionStorage.setItem("draft", text);
}
setDraft(sessionStorage.getItem("draft") ?? "");
draft.oninput = () => setDraft(draft.value);

async function save() {
  isSaving = false;
  const headers = { "Content-Type": "application/json" };
  const body = JSON.stringify({ text: draft.value });
  const response = await request("/api/notes", { method: "POST", headers, body });
  if (response.status === 401) {
    isSaving = true;
    await refresh();
    // Opening the popup here would be too late: the browser allows it only on a click.
    showStatus(["请先登录，登录后会自动保存。", "Sign in first. Then the note is saved."]);
    element("popup").focus();
  } else if (response.ok) {
    const note = await response.json();
    setDraft("");
    showStatus([`已保存：${note.text}`, "Saved."]);
  } else {
    showStatus([`保存失败（${response.status}），请重试。`, "Not saved. Try again."]);
  }
}

// Shows who is signed in, and saves the note that waits for it. Returns whether it does.
async function resume() {
  if (!(await refresh()) || !isSaving) return false;
  run(save);
  return true;
}

async function signOut() {
  isSaving = false;
  const response = await request("/auth/qq/logout", { method: "POST" });
  showStatus(
    response.ok
      ? ["已退出登录。", "Signed out."]
      : [`退出登录失败（${response.status}），请重试。`, "Still signed in. Try again."],
  );
  await refresh();
}

// Runs an action, and shows a failure of the network.
async function run(action) {
  showStatus();
  await action().catch(() => showStatus(UNREACHABLE));
}

function logIn(options) {
  isBinding = options?.intent === "bind";
  run(() => openQqLogin(loginUrl, options));
}

const here = encodeURIComponent(location.origin + location.pathname);
element("redirect").href = `${loginUrl}?return_to=${here}`;
element("popup").onclick = () => logIn();
element("bind").onclick = () => logIn({ intent: "bind" });
element("sign-out").onclick = () => run(signOut);
element("form").onsubmit = (event) => {
  event.preventDefault();
  run(save);
};

// An outcome is a hint: the API knows who is signed in.
onQqLogin(async (outcome) => {
  showStatus();
  if (await resume()) return;
  // Beside the button, unless the session is over and the button has gone.
  const place = isBinding && !element("signed-in").hidden ? "bind-status" : "status";
  if (outcome === "ok") {
    if (isBinding) showStatus(["绑定成功。", "Linked."], place);
    isBinding = false;
  } else if (outcome !== "closed") {
    const other = [`登录未完成（${outcome}），请重试。`, "Not signed in. Try again."];
    showStatus(MESSAGES.get(outcome) ?? other, place);
  }
});

addEventListener("pagehide", () => isSaving && sessionStorage.setItem(SAVING, ""));
// The page may also come back as it was left, by the Back button or from another tab, and the user
// may have signed in or out meanwhile.
addEventListener("pageshow", () => {
  sessionStorage.removeItem(SAVING);
  resume();
});
document.addEventListener("visibilitychange", () => document.hidden || resume());
