// One page for every path. The API supplies its content, and a 401 the login URL.

const ids = ["path", "user", "form", "draft", "status"];
const [pathText, userArea, form, draft, statusText] = ids.map((id) => document.getElementById(id));
const path = location.pathname + location.search + location.hash;
pathText.textContent = path;

// Returns the body of a successful response. Shows any other outcome and returns nothing.
async function api(url, options) {
  try {
    const response = await fetch(url, options);
    const body = await response.json();
    if (response.ok) return body;
    if (response.status === 401) showLogin(body.login_url);
    else statusText.textContent = body.detail ?? `状态码 ${response.status}`;
  } catch {
    statusText.textContent = "出错了，请重试。";
  }
}

function element(name, properties) {
  return Object.assign(document.createElement(name), properties);
}

// The session is missing or has ended. The login leads back to this path.
function showLogin(loginUrl) {
  const href = `${loginUrl}?return_to=${encodeURIComponent(path)}`;
  userArea.replaceChildren(element("a", { className: "button", href, textContent: "QQ 登录" }));
  form.hidden = true;
}

async function showUser() {
  const user = await api("/api/me");
  if (!user) return;
  const name = element("b", { textContent: user.nickname || "QQ 用户" });
  const button = element("button", { textContent: "退出登录", onclick: signOut });
  userArea.replaceChildren(element("p", { textContent: "你好，" }), element("p"));
  userArea.firstChild.append(name);
  userArea.lastChild.append(button);
  form.hidden = false;
}

// The response redirects to a page, which is not needed here.
async function signOut() {
  setDraft("");
  await fetch("/auth/qq/logout", { method: "POST", redirect: "manual" }).catch(() => {});
  await showUser();
}

// The draft survives the end of a session and the login that follows.
function setDraft(text) {
  draft.value = text;
  sessionStorage.setItem("draft", text);
  statusText.textContent = "";
}
setDraft(sessionStorage.getItem("draft") ?? "");
draft.oninput = () => setDraft(draft.value);

form.onsubmit = async (event) => {
  event.preventDefault();
  const headers = { "content-type": "application/json" };
  const body = JSON.stringify({ text: draft.value });
  const note = await api("/api/notes", { method: "POST", headers, body });
  if (!note) return;
  setDraft("");
  statusText.textContent = `已保存：${note.text}`;
};

showUser();
