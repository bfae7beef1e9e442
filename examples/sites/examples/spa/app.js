// One page for every path. What it shows comes from the API; a 401 says where the login is.

const [here, who, write, draft, told] = ["here", "who", "write", "draft", "told"].map((id) => document.getElementById(id));
const path = location.pathname + location.search + location.hash;
here.textContent = path;

// The answer, or nothing where it was one of those that the page itself deals with.
async function api(url, options) {
  try {
    const answer = await fetch(url, options);
    const body = await answer.json();
    if (answer.ok) return body;
    if (answer.status === 401) showLogin(body.login_url);
    else told.textContent = body.detail ?? `status ${answer.status}`;
  } catch {
    told.textContent = "That did not work. Try again.";
  }
}

function element(name, properties) {
  return Object.assign(document.createElement(name), properties);
}

// Nobody is signed in, or not any more. The login comes back to this very path.
function showLogin(login) {
  const href = `${login}?return_to=${encodeURIComponent(path)}`;
  who.replaceChildren(element("a", { className: "button", href, textContent: "Sign in with QQ" }));
  write.hidden = true;
}

async function show() {
  const user = await api("/api/me");
  if (!user) return;
  const name = element("b", { textContent: user.nickname || "QQ user" });
  const out = element("button", { textContent: "Sign out", onclick: signOut });
  who.replaceChildren(element("p", { textContent: "hello, " }), element("p"));
  who.firstChild.append(name);
  who.lastChild.append(out);
  write.hidden = false;
}

// The answer leads to a page, which is not needed: the API says who is there now.
async function signOut() {
  keep("");
  await fetch("/auth/qq/logout", { method: "POST", redirect: "manual" }).catch(() => {});
  await show();
}

// What was written outlives a session that ended in the middle, and the login after it.
function keep(text) {
  draft.value = text;
  sessionStorage.setItem("draft", text);
  told.textContent = "";
}
keep(sessionStorage.getItem("draft") ?? "");
draft.oninput = () => keep(draft.value);

write.onsubmit = async (event) => {
  event.preventDefault();
  const headers = { "content-type": "application/json" };
  const body = JSON.stringify({ text: draft.value });
  const saved = await api("/api/notes", { method: "POST", headers, body });
  if (!saved) return;
  keep("");
  told.textContent = `saved: ${saved.text}`;
};

show();
