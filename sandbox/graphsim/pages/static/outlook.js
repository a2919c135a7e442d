// The simulated mail program. It asks once a second whether anything has changed.
"use strict";

const program = document.getElementById("program");
const { address, outside } = JSON.parse(program.dataset.settings);
const kind = outside ? "outside" : "mailbox";
const TITLES = { inbox: "Inbox", drafts: "Drafts", sentitems: "Sent", deleteditems: "Deleted", archive: "Archive", junkemail: "Junk" };

// What a program of somebody elsewhere sends without that anybody writes it.
const KINDS = {
  automatic_reply: { said: "Answered as out of office.", html: "<p>I am out of office until Monday.</p>" },
  read_receipt: { said: "Sent a read receipt.", html: "<p>Your message was read.</p>" },
  meeting_request: { said: "Invited.", html: "<p>Shall we meet on Monday at ten?</p>" },
  meeting_response: { said: "Accepted.", html: "" },
  recall: { said: "Asked to take it back.", html: "<p>The sender would like to recall this message.</p>" },
};

const PLAIN = "<style>body{font:15px/1.5 system-ui,sans-serif;color:#1d2733;overflow-wrap:anywhere}blockquote{margin:.7em 0 0;padding-left:.8em;border-left:3px solid #d9e0e7}</style>";

let content = { version: -1, folders: [], messages: [] };
let folder = "inbox";
let chosen = null;
let answering = null; // {action, message}

const $ = (id) => document.getElementById(id);

function element(name, properties = {}, ...children) {
  const made = Object.assign(document.createElement(name), properties);
  made.append(...children);
  return made;
}

async function look() {
  try {
    const response = await fetch(`/outlook/content/${kind}/${encodeURIComponent(address)}`);
    const fresh = await response.json();
    if (fresh.version !== content.version) {
      content = fresh;
      draw();
    }
  } catch { /* the simulator is restarting: ask again later */ }
  setTimeout(look, 1000);
}

function inFolder(name) {
  return content.messages.filter((message) => message.folder === name).sort((a, b) => (a.at < b.at ? 1 : -1));
}

function words(markup) {
  const spaced = (markup || "").replace(/<\/?(p|div|blockquote|li|br|hr)\b/gi, " $&"); // keeps words of different blocks apart
  return (new DOMParser().parseFromString(spaced, "text/html").body.textContent || "").trim().replace(/\s+/g, " ");
}

// A time as text, in UTC, which is the simulator's zone.
function spoken(at) {
  return new Date(at).toLocaleString("en-GB", { day: "numeric", month: "short", hour: "2-digit", minute: "2-digit", timeZone: "UTC" });
}

// Draw the page again and keep the keyboard focus on the same button.
function draw() {
  const { testid, id } = document.activeElement.dataset;
  redraw();
  if (testid) document.querySelector(`[data-testid="${testid}"]${id ? `[data-id="${CSS.escape(id)}"]` : ""}`)?.focus();
}

function redraw() {
  $("name").textContent = content.name;
  $("address").textContent = address;
  $("folders").replaceChildren(...content.folders.map((name) => {
    const button = element("button", { textContent: TITLES[name] || name }, element("span", { className: "dim", textContent: inFolder(name).length || "" }));
    button.dataset.testid = `folder-${name}`;
    button.setAttribute("aria-current", name === folder);
    button.onclick = () => { folder = name; chosen = null; draw(); };
    return button;
  }));
  $("messages").replaceChildren(...inFolder(folder).map(row));
  $("empty").hidden = inFolder(folder).length > 0;
  const still = content.messages.find((message) => message.id === chosen);
  if (!still) chosen = null;
  if ($("compose").hidden) read(still);
}

function row(message) {
  const who = folder === "sentitems" || folder === "drafts" ? `To: ${message.to.join(", ")}` : message.from_name || message.from || "(no sender)";
  const from = element("span", { className: "from" }, element("strong", { textContent: who }), element("span", { className: "dim", textContent: spoken(message.at) }));
  const button = element("button", {}, from, element("span", { className: "subject", textContent: message.subject || "(no subject)" }), element("span", { className: "preview", textContent: words(message.html).slice(0, 90) }));
  button.dataset.testid = "message";
  button.dataset.id = message.id;
  button.setAttribute("aria-current", message.id === chosen);
  button.onclick = () => { chosen = message.id; $("compose").hidden = true; say(""); markRead(message); draw(); bringIntoView("message"); };
  const item = element("li", {}, button);
  if (message.is_read === false) item.className = "unread";
  return item;
}

// On a narrow screen the text lies below the list.
function bringIntoView(id) {
  if (matchMedia("(max-width:52rem)").matches) $(id).scrollIntoView({ block: "start" });
}

function say(text) {
  $("said").textContent = text;
}

function read(message) {
  $("nothing").hidden = Boolean(message);
  $("message").hidden = !message;
  if (!message) return;
  $("subject").textContent = message.subject || "(no subject)";
  const from = message.from_name && message.from_name !== message.from ? `${message.from_name} <${message.from}>` : message.from || "?";
  $("people").textContent = `From ${from} · To ${message.to.join(", ")}${message.cc.length ? ` · Cc ${message.cc.join(", ")}` : ""} · ${spoken(message.at)}`;
  showFiles(message);
  showFacts(message);
  if ($("body").dataset.shown !== message.id + message.html.length) {
    $("body").dataset.shown = message.id + message.html.length;
    $("body").srcdoc = `${PLAIN}${withPictures(message)}`;
  }
  const draft = message.is_draft === true;
  for (const button of document.querySelectorAll("#actions [data-act]")) {
    const act = button.dataset.act;
    const only = { send: draft, archive: !outside && !draft, delete: !outside, forward: !outside && !draft };
    for (const name of Object.keys(KINDS)) only[name] = outside && (message.folder === "sentitems") === (name === "recall");
    button.hidden = act in only ? !only[act] : draft;
  }
}

// Pictures that the text shows by Content-ID (RFC 2392) lie among the mail's files.
function withPictures(message) {
  return message.html.replace(/cid:([^"'\s>)]+)/gi, (written, name) => {
    const number = message.attachments.findIndex((file) => file.content_id && [name, decodeURIComponent(name)].includes(file.content_id.replace(/^<|>$/g, "")));
    return number < 0 ? written : fileAddress(message, number).replaceAll("&", "&amp;");
  });
}

function fileAddress(message, number) {
  return `/outlook/files/${kind}/${encodeURIComponent(address)}?${new URLSearchParams({ id: message.id, number })}`;
}

// Redrawn only when the files are others, so that the keyboard focus stays on a link.
function showFiles(message) {
  const shown = JSON.stringify([message.id, message.attachments]);
  if ($("files").dataset.shown === shown) return;
  $("files").dataset.shown = shown;
  $("files").replaceChildren(...message.attachments.map((file, number) => {
    const name = file.name || "attachment"; // Exchange gives some files no name
    const link = element("a", { textContent: name, href: fileAddress(message, number), download: name });
    link.dataset.testid = "file";
    return element("li", {}, link, ` (${[file.content_type, `${Math.ceil(file.size_bytes / 1024)} kB`].filter(Boolean).join(", ")})`);
  }));
}

// What ties mails together, word for word. People elsewhere have no conversation: Graph alone counts in those.
function showFacts(message) {
  const facts = {
    "Message-ID": message.internet_message_id,
    "In-Reply-To": message.in_reply_to,
    References: message.references.join("\n"),
    ...(outside ? {} : { "Conversation id": message.conversation_id, "Graph id": message.id, "Message class": message.message_class }),
    Folder: TITLES[message.folder] || message.folder,
  };
  $("facts").replaceChildren(...Object.entries(facts).flatMap(([name, value]) => {
    const shown = element("dd", { textContent: value || "none", className: value ? "" : "dim" });
    shown.dataset.testid = `fact-${name.toLowerCase().replace(/ /g, "-")}`;
    return [element("dt", { textContent: name }), shown];
  }));
}

function compose(action, message) {
  answering = { action, message };
  say("");
  const form = $("compose");
  form.reset();
  $("failed").textContent = "";
  $("compose-title").textContent = { new: "New mail", reply: "Reply", reply_all: "Reply to all", forward: "Forward" }[action];
  form.elements.to.value = action === "new" || action === "forward" ? "" : message.folder === "sentitems" ? message.to.join(", ") : message.from;
  form.elements.subject.value = action === "new" ? "" : action === "forward" ? `FW: ${message.subject}` : /^re:/i.test(message.subject) ? message.subject : `RE: ${message.subject}`;
  form.elements.subject.readOnly = action !== "new" && !outside;
  form.elements.to.readOnly = action.startsWith("reply");
  $("keep").hidden = outside;
  $("message").hidden = true;
  $("nothing").hidden = true;
  form.hidden = false;
  form.elements[action === "new" || action === "forward" ? "to" : "text"].focus();
}

const escaped = (text) => text.replace(/[&<>]/g, (sign) => ({ "&": "&amp;", "<": "&lt;", ">": "&gt;" })[sign]);
const markup = (text) => text.split(/\n\s*\n/).map((part) => `<p>${escaped(part).replace(/\n/g, "<br>")}</p>`).join("");

async function base64(file) {
  const bytes = new Uint8Array(await file.arrayBuffer());
  let text = "";
  for (let start = 0; start < bytes.length; start += 32768) text += String.fromCharCode(...bytes.subarray(start, start + 32768));
  return { name: file.name, content_type: file.type || "application/octet-stream", content_base64: btoa(text) };
}

async function control(path, body) {
  const response = await fetch(`/__control/${path}`, { method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify(body) });
  const answer = await response.json();
  if (!response.ok) throw new Error(answer.error || "That did not work.");
  return answer;
}

async function submit(draftOnly) {
  const form = $("compose");
  const { action, message } = answering;
  const to = form.elements.to.value.split(/[,;\s]+/).filter(Boolean);
  const common = { html: markup(form.elements.text.value), attachments: await Promise.all([...form.elements.files.files].map(base64)) };
  const me = encodeURIComponent(address);
  try {
    if (outside && action === "new") await control(`outside/${me}/compose`, { ...common, to, subject: form.elements.subject.value });
    else if (outside) await control(`outside/${me}/reply`, { ...common, internet_message_id: message.internet_message_id, subject: form.elements.subject.value, reply_all: action === "reply_all" });
    else if (action === "new") await control(`mailboxes/${me}/compose`, { ...common, action, to, subject: form.elements.subject.value, draft_only: draftOnly });
    else await control(`mailboxes/${me}/compose`, { ...common, action, graph_message_id: message.id, draft_only: draftOnly, ...(action === "forward" ? { to } : {}) });
    form.hidden = true;
    say(draftOnly ? "Kept in Drafts." : "Sent.");
    draw();
  } catch (problem) {
    $("failed").textContent = problem.message;
  }
}

async function markRead(message) {
  if (outside || message.is_read !== false) return;
  await control(`mailboxes/${encodeURIComponent(address)}/messages/${encodeURIComponent(message.id)}/read`, {});
}

async function act(name) {
  const message = content.messages.find((item) => item.id === chosen);
  if (!message) return;
  if (["reply", "reply_all", "forward"].includes(name)) { compose(name, message); return; }
  const path = `mailboxes/${encodeURIComponent(address)}/messages/${encodeURIComponent(message.id)}`;
  try {
    if (name in KINDS) await control(`outside/${encodeURIComponent(address)}/reply`, { internet_message_id: message.internet_message_id, kind: name, html: KINDS[name].html });
    else if (name === "archive") await control(`${path}/move`, { folder: "archive" });
    else await control(`${path}/${name}`, {});
    if (name in KINDS) { say(KINDS[name].said); return; }
    chosen = null;
    say({ archive: "Moved to Archive.", delete: "Deleted.", send: "Sent." }[name]);
  } catch (problem) {
    say(problem.message);
  }
}

$("new").onclick = () => compose("new", null);
$("cancel").onclick = () => { $("compose").hidden = true; draw(); };
$("keep").onclick = () => submit(true);
$("compose").onsubmit = (event) => { event.preventDefault(); submit(false); };
$("actions").onclick = (event) => { if (event.target.dataset.act) act(event.target.dataset.act); };
look();
