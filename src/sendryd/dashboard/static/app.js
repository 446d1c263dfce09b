// Behaviour that HTML has not by itself. Each element works without it, only less comfortably.

class CopyButton extends HTMLElement {
  connectedCallback() {
    this.querySelector("button")?.addEventListener("click", async (event) => {
      event.preventDefault();
      const from = document.getElementById(this.getAttribute("from"));
      await navigator.clipboard.writeText(from ? from.textContent : this.getAttribute("text"));
      const word = this.querySelector("[data-word]") ?? this.querySelector("button");
      const before = word.textContent;
      word.textContent = "Copied";
      setTimeout(() => { word.textContent = before; }, 1500);
    });
  }
}

class LocalTime extends HTMLElement {
  connectedCallback() { this.show(); }
  show() {
    const time = this.querySelector("time");
    const moment = new Date(time?.getAttribute("datetime"));
    if (Number.isNaN(moment.getTime())) return;
    const isToday = moment.toDateString() === new Date().toDateString();
    const options = isToday ? { timeStyle: "medium" } : { dateStyle: "medium", timeStyle: "short" };
    time.title = time.getAttribute("datetime");
    time.textContent = new Intl.DateTimeFormat(undefined, options).format(moment);
  }
}

const SILENCE = 40_000;  // milliseconds: the server says something every 15 s; a network that was cut says nothing

// The state of the page's stream, in words. It pauses while the tab is hidden, and comes back by itself.
class LiveWords extends HTMLElement {
  connectedCallback() {
    if (!this.hasAttribute("hx-sse:connect")) return;
    const hears = (name, act) => this.addEventListener(`htmx:${name}`, act);
    hears("sse:after:connection", (event) => { this.connection = event.detail.connection; this.listen(); this.say("live", "Live"); });
    hears("sse:after:message", () => this.listen());
    addEventListener("offline", () => this.cut());
    addEventListener("online", () => this.connection?.delayCanceller?.());  // without waiting for the next try
    hears("sse:before:connection", () => { if (this.state === "live") this.say("catching-up", "Catching up"); });
    hears("sse:error", () => this.lose());
    hears("sse:close", () => this.lose());
    hears("after:swap", () => { for (const each of document.querySelectorAll("local-time, row-keys, read-marks, new-mails, arrival-sound")) each.show(); });
  }
  get state() { return this.firstElementChild.dataset.live; }
  listen() {
    clearTimeout(this.silence);
    this.silence = setTimeout(() => this.cut(), SILENCE);
  }
  cut() {  // the connection is dead, whatever the browser thinks: begin another one
    this.lose();
    this.connection?.reader?.cancel();
  }
  lose() {
    clearTimeout(this.silence);
    if (this.state === "off") return;
    this.say("off", `Not live since ${new Intl.DateTimeFormat(undefined, { timeStyle: "short" }).format(new Date())}`);
  }
  say(state, words) {
    if (this.state === state) return;
    this.firstElementChild.dataset.live = state;
    this.firstElementChild.textContent = words;
  }
}

// j and k move between rows, Enter opens, x selects.
class RowKeys extends HTMLElement {
  connectedCallback() {  // by scrollIntoView Tab would begin at the row, not at the skip link
    const row = this.current?.getBoundingClientRect();
    if (row && (row.top < 0 || row.bottom > innerHeight)) scrollBy(0, row.top - innerHeight / 2);
  }
  get rows() { return [...this.querySelectorAll("[data-id]")]; }
  move(step) {
    const rows = this.rows;
    if (!rows.length) return;
    const at = rows.findIndex((row) => row.getAttribute("aria-selected") === "true");
    rows[at]?.removeAttribute("aria-selected");
    const row = rows[Math.min(rows.length - 1, Math.max(0, at < 0 ? (step > 0 ? 0 : rows.length - 1) : at + step))];
    row.setAttribute("aria-selected", "true");
    row.scrollIntoView({ block: "nearest" });
    this.kept = row.dataset.id;
  }
  show() {  // the same row after an update
    const row = this.kept && this.querySelector(`[data-id="${CSS.escape(this.kept)}"]`);
    if (!row) return;
    this.current?.removeAttribute("aria-selected");
    row.setAttribute("aria-selected", "true");
  }
  get current() { return this.querySelector('[aria-selected="true"]'); }
}

const PLACES = { h: "/", e: "/emails", t: "/test", q: "/queue", d: "/domains", k: "/keys", w: "/webhooks" };

class KeyMap extends HTMLElement {
  connectedCallback() {
    let goes = false;
    document.addEventListener("keydown", (event) => {
      if (event.ctrlKey || event.metaKey || event.altKey) return;
      const field = event.target.closest("input, textarea, select, [contenteditable]");
      if (event.key === "Escape") { field?.blur(); document.querySelector("[data-close]")?.click(); return; }
      if (field || document.documentElement.dataset.keys === "off") return;
      const rows = document.querySelector("row-keys");
      if (goes && PLACES[event.key]) { location.href = PLACES[event.key]; return; }
      goes = event.key === "g";
      if (event.key === "/") { event.preventDefault(); document.querySelector('.find input')?.focus(); }
      else if (event.key === "?") document.getElementById("key-help")?.showModal();
      else if (event.key === "j") rows?.move(1);
      else if (event.key === "k") rows?.move(-1);
      else if (event.key === "Enter" && !event.target.closest("a, button, summary")) rows?.current?.querySelector("a")?.click();
      else if (event.key === "x") rows?.current?.querySelector('input[type="checkbox"]')?.click();
      else if (event.key === "[") document.querySelector("[data-newer]")?.click();
      else if (event.key === "]") document.querySelector("[data-older]")?.click();
      else if (event.key === "c") document.querySelector("copy-button[data-id-copy] button")?.click();
      else if (event.key === "r") document.querySelector('button[data-key="r"]')?.click();
      else if (event.key === ".") {
        event.preventDefault();
        (document.querySelector("#mail-changes button") ?? document.querySelector("choose-rows select"))?.focus();
      }
    });
  }
}

// Lines for several programs: the browser remembers which one was chosen.
class SnippetTabs extends HTMLElement {
  connectedCallback() {
    const chosen = localStorage.getItem("sendryd-program");
    const input = chosen && this.querySelector(`input[value="${CSS.escape(chosen)}"]`);
    if (input) input.checked = true;
    this.addEventListener("change", (event) => localStorage.setItem("sendryd-program", event.target.value));
  }
}

// Says how old the figures are once they do not change any more; the server says it for figures that it has no newer ones of.
class FigureAge extends HTMLElement {
  connectedCallback() {
    this.timer = setInterval(() => this.tick(), 1000);
  }
  disconnectedCallback() { clearInterval(this.timer); }
  tick() {
    if (this.stamp !== this.dataset.stamp) { this.stamp = this.dataset.stamp; this.since = performance.now(); return; }
    const seconds = Math.round((performance.now() - this.since) / 1000);
    if (seconds <= 10) return;
    this.dataset.old = "";
    this.textContent = seconds < 120 ? `${seconds} s old` : `${Math.floor(seconds / 60)} min old`;
  }
}

// A button or link that opens the dialog beside it.
class AskFirst extends HTMLElement {
  connectedCallback() {
    const dialog = this.querySelector("dialog");
    this.querySelector("[data-open]")?.addEventListener("click", (event) => { event.preventDefault(); dialog?.showModal(); });
    dialog?.querySelector("button[data-dismiss]")?.addEventListener("click", () => dialog.close());
    if (dialog?.open) {  // the page asks at once
      dialog.close();
      dialog.showModal();
    }
  }
}

// Which mails of the Test Inbox this browser has read. A row that it has not says "New".
const readMarks = () => {
  try { return { upTo: {}, ids: [], ...JSON.parse(localStorage.getItem("sendryd-read")) }; } catch { return { upTo: {}, ids: [] }; }
};
const isRead = ({ upTo, ids }, { id, key }) => ids.includes(id) || id <= (upTo[""] ?? "") || id <= (upTo[key] ?? "");

class ReadMarks extends HTMLElement {
  connectedCallback() {
    if (this.hasAttribute("opened")) this.add([this.getAttribute("opened")]);
    this.addEventListener("click", (event) => { if (event.target.closest("[data-mark-all]")) this.markAll(); });
    this.show();
  }
  keep(marks) {
    localStorage.setItem("sendryd-read", JSON.stringify(marks));
    document.querySelector("new-mails")?.show();
  }
  get rows() { return [...this.querySelectorAll("[data-id]")]; }
  add(ids) {
    const marks = readMarks();
    this.keep({ ...marks, ids: [...new Set([...marks.ids, ...ids])].slice(-1000) });
  }
  markAll() {  // ids grow with time: all up to the newest of a key are one mark
    const ids = this.rows.map((row) => row.dataset.id), of = this.getAttribute("of"), marks = readMarks();
    if (this.hasAttribute("searched")) this.add(ids);
    else this.keep({ ...marks, upTo: { ...marks.upTo, [of]: [marks.upTo[of] ?? "", ...ids].sort().pop() } });
    this.show();
  }
  show() {
    const marks = readMarks();
    for (const row of this.rows) row.querySelector("[data-new]").hidden = isRead(marks, row.dataset);
    for (const button of this.querySelectorAll("[data-mark-all]")) button.hidden = this.rows.every((row) => isRead(marks, row.dataset));
  }
}

// How many of the newest test mails this browser has not read, beside the Test Inbox.
class NewMails extends HTMLElement {
  connectedCallback() { this.show(); }
  show() {
    const marks = readMarks(), mails = this.getAttribute("mails").split("|").map((each) => each.split(" "));
    const count = mails.flatMap(([key, ...ids]) => ids.filter((id) => !isRead(marks, { id, key }))).length;
    this.querySelector("[data-number]").textContent = count === parseInt(this.getAttribute("most")) ? this.getAttribute("most") : count;
    this.hidden = !count;
  }
}

// A short tone when a mail comes in, for those who have switched it on in this browser.
class ArrivalSound extends HTMLElement {
  connectedCallback() {
    this.hidden = false;
    this.button = this.querySelector("button");
    this.button.addEventListener("click", () => {
      localStorage.setItem("sendryd-sound", this.isOn ? "off" : "on");
      this.say();
      if (this.isOn) this.play();  // browsers let a page sound only after a click
    });
    this.newest = this.latest;
    this.say();
  }
  get isOn() { return localStorage.getItem("sendryd-sound") === "on"; }
  get latest() { return [...document.querySelectorAll("read-marks [data-id]")].map((row) => row.dataset.id).sort().pop() ?? ""; }
  say() { this.button.setAttribute("aria-pressed", String(this.isOn)); }
  show() {
    const latest = this.latest;
    if (latest <= this.newest) return;
    this.newest = latest;
    if (this.isOn) this.play();
  }
  play() {
    this.audio ??= new AudioContext();
    this.audio.resume();
    const now = this.audio.currentTime, tone = new OscillatorNode(this.audio, { frequency: 880 }), volume = new GainNode(this.audio, { gain: 0.1 });
    volume.gain.exponentialRampToValueAtTime(0.001, now + 0.3);
    tone.connect(volume).connect(this.audio.destination);
    tone.start(now);
    tone.stop(now + 0.3);
  }
}

// Rows of the queue stay where they are while the pointer is on one: their figures go on, their order waits.
class HoldStill extends HTMLElement {
  connectedCallback() {
    document.addEventListener("htmx:sse:before:message", (event) => this.hear(event.detail.message));
    this.addEventListener("pointerleave", () => this.settle());
  }
  get isHeld() { return this.matches(":hover") && matchMedia("(hover: hover)").matches; }
  get list() { return document.getElementById(this.dataset.list); }
  hear(message) {
    const sent = document.createElement("template");
    sent.innerHTML = message.data;
    const part = sent.content.querySelector(`[hx-target="#${this.dataset.list}"]`);
    if (!part) return;
    const rows = new Map([...part.querySelectorAll(":scope > [data-destination]")].map((row) => [row.id, row]));
    this.order = [...rows.keys()];
    const shown = [...this.list.querySelectorAll(":scope > [data-destination]")];
    if (!this.isHeld || !shown.length) return;
    const held = shown.map((row) => rows.get(row.id) ?? row.cloneNode(true));
    for (const row of held) row.toggleAttribute("data-gone", !rows.has(row.id));
    part.prepend(...held, ...[...rows.values()].filter((row) => !held.includes(row)));
    message.data = sent.innerHTML;
  }
  settle() {
    if (!this.order) return;
    for (const row of this.list.querySelectorAll(":scope > [data-destination]")) if (!this.order.includes(row.id)) row.remove();
    this.list.prepend(...this.order.map((id) => document.getElementById(id)).filter(Boolean));
  }
}

// Ticked rows: says how many there are, and asks for a reason only where mail is held.
class ChooseRows extends HTMLElement {
  connectedCallback() {
    document.addEventListener("change", (event) => {
      if (event.target.matches("[data-all]")) for (const box of this.boxes) box.checked = event.target.checked;
      this.show();
    });
    this.show();
  }
  get boxes() { return [...document.querySelectorAll('input[name^="row-"]')]; }
  show() {
    const { which, change, reason } = this.querySelector("form").elements;
    const chosen = this.boxes.filter((box) => box.checked).length;
    which.options[0].textContent = chosen ? `${chosen} chosen` : "Chosen";
    if (reason) reason.hidden = change.value !== "hold";
  }
}

const MOST_ROWS = 200, ROWS_A_SECOND = 20, PAGE_ROWS = 50;

// Follows a list: new rows come on top while the reader is at the top and has ticked none; else it says how many there are. Rows are in the order
// of their ids, which grow with time. What the stream brings are the newest rows: where none of them is here, others were missed, and the list
// begins again with them.
class FollowList extends HTMLElement {
  connectedCallback() {
    this.unseen = new Set();
    this.texts = new WeakMap();  // of rows, as the server sent them
    this.came = this.mergedAt = 0;
    this.newsButton = this.querySelector("[data-news]");
    this.followButton = this.querySelector("[data-follow]");
    this.followButton.hidden = false;
    document.addEventListener("htmx:sse:before:message", (event) => this.hear(event.detail.message));
    this.newsButton.addEventListener("click", () => { scrollTo({ top: 0 }); this.merge(true); });
    this.followButton.addEventListener("click", () => {
      this.followButton.setAttribute("aria-pressed", String(this.followButton.getAttribute("aria-pressed") !== "true"));
      this.merge();
    });
    for (const name of ["change", "scroll"]) document.addEventListener(name, () => { if (this.unseen.size) this.merge(); }, { passive: true });
  }
  get body() { return this.querySelector("tbody"); }
  get isStill() {
    return this.followButton.getAttribute("aria-pressed") !== "true" || scrollY > 60 || Boolean(this.querySelector("td.pick :checked"));
  }
  hear(message) {
    const sent = document.createElement("template");
    sent.innerHTML = message.data;
    const part = sent.content.querySelector(`[hx-target="#${this.dataset.list}"]`);
    const body = part?.querySelector("tbody");
    if (!this.body || (part && !body && !this.isStill)) return;  // the whole list is replaced
    if (!part) return;
    part.remove();
    message.data = sent.innerHTML;
    this.latest = body ? [...body.rows] : [];
    this.merge();
  }
  merge(isAsked = false) {
    if (!this.latest) return;
    const shown = new Map([...this.body.rows].map((row) => [row.dataset.id, row]));
    for (const row of this.latest) if (shown.has(row.dataset.id)) this.renew(shown.get(row.dataset.id), row);
    const fresh = this.latest.filter((row) => !shown.has(row.dataset.id));
    for (const row of fresh) this.unseen.add(row.dataset.id);
    const isGap = this.latest.length >= PAGE_ROWS && fresh.length === this.latest.length;
    const isHeld = this.isStill && !isAsked;
    if (!isHeld) this.show(fresh, isGap, isAsked);
    const count = this.unseen.size;
    this.newsButton.hidden = !count;
    this.newsButton.textContent = `${count}${isGap && isHeld ? " or more" : ""} new`;
  }
  show(fresh, isGap, isAsked) {
    const room = isAsked ? PAGE_ROWS : Math.min(PAGE_ROWS, Math.floor((performance.now() - this.mergedAt) * ROWS_A_SECOND / 1000));
    const wanted = isGap ? fresh : fresh.reverse().slice(0, Math.min(room, isAsked ? PAGE_ROWS : ROWS_A_SECOND));
    const oldest = this.latest.length < PAGE_ROWS ? "" : this.latest.at(-1).dataset.id;
    const ids = new Set(this.latest.map((row) => row.dataset.id));
    for (const row of [...this.body.rows]) if (isGap ? room >= PAGE_ROWS : row.dataset.id >= oldest && !ids.has(row.dataset.id)) row.remove();
    clearTimeout(this.later);
    if (isGap && room < PAGE_ROWS) {
      this.later = setTimeout(() => this.merge(), 1000);
      return;
    }
    for (const row of wanted) this.insert(row);
    if (wanted.length) this.mergedAt = performance.now();
    if (wanted.length < fresh.length) this.later = setTimeout(() => this.merge(), 1000);
    if (wanted.length === fresh.length) this.unseen.clear();
    this.cap();
  }
  insert(row) {
    const made = document.importNode(row, true);
    this.texts.set(made, row.outerHTML);
    made.classList.add("fresh");
    this.body.insertBefore(made, [...this.body.rows].find((each) => each.dataset.id < row.dataset.id) ?? null);
    this.unseen.delete(row.dataset.id);
    this.came += 1;
  }
  renew(row, sent) {
    if (this.texts.get(row) === sent.outerHTML) return;
    this.texts.set(row, sent.outerHTML);
    row.dataset.status = sent.dataset.status;
    [...sent.cells].forEach((cell, at) => {
      if (!cell.classList.contains("pick") && row.cells[at].innerHTML !== cell.innerHTML) row.cells[at].innerHTML = cell.innerHTML;
    });
  }
  cap() {
    const rows = [...this.body.rows];
    for (const row of rows.slice(MOST_ROWS)) row.remove();
    const older = this.querySelector('a[rel="next"]');
    if (rows.length > PAGE_ROWS && older) {
      const target = new URL(older.href);
      target.searchParams.set("before", this.body.rows[this.body.rows.length - 1].dataset.id);
      older.href = target.href;
    }
    const words = this.querySelector("[data-came]");
    words.hidden = rows.length < MOST_ROWS;
    words.textContent = `The newest ${MOST_ROWS}. ${this.came} came in while this page was open.`;
  }
}

for (const [name, element] of Object.entries({
  "copy-button": CopyButton, "local-time": LocalTime, "live-words": LiveWords, "row-keys": RowKeys, "key-map": KeyMap, "ask-first": AskFirst,
  "new-mails": NewMails, "read-marks": ReadMarks, "snippet-tabs": SnippetTabs, "figure-age": FigureAge,
  "arrival-sound": ArrivalSound, "hold-still": HoldStill, "choose-rows": ChooseRows, "follow-list": FollowList,
})) customElements.define(name, element);
