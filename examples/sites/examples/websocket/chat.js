// Chats until the socket closes, and shows why it did.

const ids = ["status", "messages", "online", "form", "text", "offline"];
const [statusText, messages, online, form, text, offline] = ids.map((id) => document.getElementById(id));
// The server closes the socket with this code when the session has ended.
const SESSION_ENDED = 4401;

// Older browsers accept no relative URL here.
const socket = new WebSocket(`${location.origin.replace("http", "ws")}/chat`);

socket.onopen = () => {
  statusText.textContent = "已连接。";
  online.hidden = false;
};

socket.onmessage = ({ data }) => {
  messages.append(Object.assign(document.createElement("p"), { textContent: data }));
};

// A script cannot see why a handshake failed. The link leads to a page that shows the login if the
// user is signed out.
socket.onclose = ({ code }) => {
  statusText.textContent = code === SESSION_ENDED ? "登录已失效。" : "连接已断开。";
  online.hidden = true;
  offline.hidden = false;
};

form.onsubmit = (event) => {
  event.preventDefault();
  socket.send(text.value);
  text.value = "";
};

// The page stays: the server closes the socket, here and in other tabs.
function postOnClick(id, path) {
  document.getElementById(id).onclick = async () => {
    const response = await fetch(path, { method: "POST" }).catch(() => undefined);
    if (!response?.ok) statusText.textContent = "操作失败，请重试。";
  };
}
postOnClick("sign-out", "/auth/qq/logout");
postOnClick("sign-out-everywhere", "/sign-out-everywhere");
