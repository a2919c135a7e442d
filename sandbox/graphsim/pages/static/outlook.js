// The simulated mail program: looks once a second whether anything changed.
"use strict";

const program = document.getElementById("program");
const { address, outside } = JSON.parse(program.dataset.settings);
const kind = outside ? "outside" : "mailbox";
const TITLES = { inbox: "Inbox", drafts: "Drafts", sentitems: "Sent", deleteditems: "Deleted", archive: "Archive", junkemail: "Junk" };

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
  } catch { /* the simulator is restarting: look again */ }
  setTimeout(look, 1000);
}

function inFolder(name) {
  return content.messages.filter((one) => one.folder === name).sort((a, b) => (a.at < b.at ? 1 : -1));
}

function words(markup) {
  const spaced = (markup || "").replace(/<\/?(p|div|blockquote|li|br|hr)\b/gi, " $&"); // blocks are not one word
  return (new DOMParser().parseFromString(spaced, "text/html").body.textContent || "").trim().replace(/\s+/g, " ");
}

// A time for people, in the simulated world's zone.
function spoken(at) {
  return new Date(at).toLocaleString("en-GB", { day: "numeric", month: "short", hour: "2-digit", minute: "2-digit", timeZone: "UTC" });
}

// Drawn again while somebody stands on a button: they stay on it.
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
  const still = content.messages.find((one) => one.id === chosen);
  if (!still) chosen = null;
  if ($("compose").hidden) read(still);
}

function row(one) {
  const who = folder === "sentitems" || folder === "drafts" ? `To: ${one.to.join(", ")}` : one.from_name || one.from || "(no sender)";
  const from = element("span", { className: "from" }, element("strong", { textContent: who }), element("span", { className: "dim", textContent: spoken(one.at) }));
  const button = element("button", {}, from, element("span", { className: "subject", textContent: one.subject || "(no subject)" }), element("span", { className: "preview", textContent: words(one.html).slice(0, 90) }));
  button.dataset.testid = "message";
  button.dataset.id = one.id;
  button.setAttribute("aria-current", one.id === chosen);
  button.onclick = () => { chosen = one.id; $("compose").hidden = true; say(""); markRead(one); draw(); bringIntoView("message"); };
  const item = element("li", {}, button);
  if (one.is_read === false) item.className = "unread";
  return item;
}

// On a narrow screen the text lies below the list.
function bringIntoView(id) {
  if (matchMedia("(max-width:52rem)").matches) $(id).scrollIntoView({ block: "start" });
}

function say(text) {
  $("said").textContent = text;
}

function read(one) {
  $("nothing").hidden = Boolean(one);
  $("message").hidden = !one;
  if (!one) return;
  $("subject").textContent = one.subject || "(no subject)";
  const from = one.from_name && one.from_name !== one.from ? `${one.from_name} <${one.from}>` : one.from || "?";
  $("people").textContent = `From ${from} · To ${one.to.join(", ")}${one.cc.length ? ` · Cc ${one.cc.join(", ")}` : ""} · ${spoken(one.at)}`;
  $("files").replaceChildren(...one.attachments.map((file) => element("li", { textContent: `${file.name} (${Math.ceil(file.size_bytes / 1024)} kB)` })));
  if ($("body").dataset.shown !== one.id + one.html.length) {
    $("body").dataset.shown = one.id + one.html.length;
    $("body").srcdoc = `${PLAIN}${one.html}`;
  }
  const draft = one.is_draft === true;
  for (const button of document.querySelectorAll("#actions [data-act]")) {
    const act = button.dataset.act;
    const only = { send: draft, archive: !outside && !draft, delete: !outside, forward: !outside && !draft };
    button.hidden = act in only ? !only[act] : draft;
  }
}

function compose(action, one) {
  answering = { action, one };
  say("");
  const form = $("compose");
  form.reset();
  $("failed").textContent = "";
  $("compose-title").textContent = { new: "New mail", reply: "Reply", reply_all: "Reply to all", forward: "Forward" }[action];
  form.elements.to.value = action === "new" || action === "forward" ? "" : one.folder === "sentitems" ? one.to.join(", ") : one.from;
  form.elements.subject.value = action === "new" ? "" : action === "forward" ? `FW: ${one.subject}` : /^re:/i.test(one.subject) ? one.subject : `RE: ${one.subject}`;
  form.elements.subject.readOnly = action !== "new" && !outside;
  form.elements.to.readOnly = action.startsWith("reply");
  $("keep").hidden = outside;
  $("message").hidden = true;
  $("nothing").hidden = true;
  form.hidden = false;
  form.elements[action === "new" || action === "forward" ? "to" : "text"].focus();
}

const escaped = (text) => text.replace(/[&<>]/g, (one) => ({ "&": "&amp;", "<": "&lt;", ">": "&gt;" })[one]);
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
  const { action, one } = answering;
  const to = form.elements.to.value.split(/[,;\s]+/).filter(Boolean);
  const common = { html: markup(form.elements.text.value), attachments: await Promise.all([...form.elements.files.files].map(base64)) };
  const me = encodeURIComponent(address);
  try {
    if (outside && action === "new") await control(`outside/${me}/compose`, { ...common, to, subject: form.elements.subject.value });
    else if (outside) await control(`outside/${me}/reply`, { ...common, internet_message_id: one.internet_message_id, subject: form.elements.subject.value, reply_all: action === "reply_all" });
    else if (action === "new") await control(`mailboxes/${me}/compose`, { ...common, action, to, subject: form.elements.subject.value, draft_only: draftOnly });
    else await control(`mailboxes/${me}/compose`, { ...common, action, graph_message_id: one.id, draft_only: draftOnly, ...(action === "forward" ? { to } : {}) });
    form.hidden = true;
    say(draftOnly ? "Kept in Drafts." : "Sent.");
    draw();
  } catch (problem) {
    $("failed").textContent = problem.message;
  }
}

async function markRead(one) {
  if (outside || one.is_read !== false) return;
  await control(`mailboxes/${encodeURIComponent(address)}/messages/${encodeURIComponent(one.id)}/read`, {});
}

async function act(name) {
  const one = content.messages.find((each) => each.id === chosen);
  if (!one) return;
  if (["reply", "reply_all", "forward"].includes(name)) { compose(name, one); return; }
  const path = `mailboxes/${encodeURIComponent(address)}/messages/${encodeURIComponent(one.id)}`;
  try {
    if (name === "archive") await control(`${path}/move`, { folder: "archive" });
    else await control(`${path}/${name}`, {});
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
