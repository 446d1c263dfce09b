"""What a page of the dashboard must not do in Chromium: scroll sideways, give an id twice, or have what axe finds."""

import json
from importlib import resources

from playwright.sync_api import Page

TAGS = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
COLOURS = ["color-contrast", "link-in-text-block"]  # the rules to which light and dark make a difference
# The slow rules look at what is marked as new.
SELECTORS = {
    "color-contrast": "[data-new]",
    "target-size": "[data-new]",
    "link-in-text-block": "a[href][data-new], [role=link][data-new]",
}
LOAD_AXE = "\n".join(
    [
        (resources.files("axe_playwright_python") / "axe.min.js").read_text("utf-8"),
        f"axe.configure({{rules: {json.dumps([{'id': rule, 'selector': words} for rule, words in SELECTORS.items()])}}});",
    ]
)
RUN_AXE = """(asked) => axe.run(document, {...asked, iframes: false, resultTypes: ["violations"]}).then((found) =>
  found.violations.flatMap((each) => each.nodes.map((node) => `${each.id} at ${node.target.join(" ")}: ${node.any[0]?.message ?? each.help}`)))"""
# Marks the first element of each kind that is not among those seen, and gives the new kinds: tag, class and role of the element and of what it is in,
# its colour, and that of what it lies on.
MARK = """(seen) => {
  const known = new Set(seen), lies = new Map();
  const name = (each) => `${each.tagName}.${each.className.baseVal ?? each.className}[${each.getAttribute("role") ?? each.type ?? ""}]`;
  const found = [];
  for (const each of document.querySelectorAll("body, body *")) {
    const style = getComputedStyle(each);
    lies.set(each, style.backgroundColor === "rgba(0, 0, 0, 0)" ? lies.get(each.parentElement) ?? "" : style.backgroundColor);
    const places = [each, each.parentElement, each.parentElement.parentElement].map((one) => one ? name(one) : "");
    const kind = `${places.join(" < ")} ${style.color} on ${lies.get(each)}`;
    each.removeAttribute("data-new");
    if (known.has(kind)) continue;
    known.add(kind);
    found.push(kind);
    each.setAttribute("data-new", "");
  }
  return found;
}"""
# What scrolls sideways, a page without its one main heading, ids that are given twice.
FRAME = """() => {
  const NAMES = new Set(("home emails email test queue queue-domain domains domain keys webhooks webhook suppressions templates template smtp-log " +
    "api-log health team settings audit analytics sign-in welcome me missing elevate bulk reports").split(" "));
  const ids = [...document.querySelectorAll("[id]")].map((each) => each.id);
  const over = document.documentElement.scrollWidth - innerWidth;
  const wide = over <= 0 ? [] : [...document.body.querySelectorAll("*")].filter((each) =>
    each.getBoundingClientRect().right > innerWidth + 1 && each.getBoundingClientRect().left < innerWidth && each.children.length < 3);
  return [
    ...(NAMES.has(document.body.dataset.page) ? [] : [`data-page ${document.body.dataset.page}`]),
    ...(over > 0 ? [`scrolls by ${over}: ${wide.slice(-1)[0]?.outerHTML.slice(0, 160)}`] : []),
    ...(document.querySelectorAll("h1").length - document.querySelectorAll(".over h1").length === 1 ? [] : ["not one h1"]),
    ...ids.filter((id, at) => ids.indexOf(id) !== at).map((id) => `id twice: ${id}`),
  ];
}"""


class Axe:
    """Asks axe. The rules that take long look at each kind of element once, whatever page it is on."""

    def __init__(self) -> None:
        self._seen: set[str] = set()

    @staticmethod
    def load(tab: Page) -> None:
        """Gives axe to every page that the tab opens from now on: sending it again for each page costs more than most of its rules."""
        tab.add_init_script(LOAD_AXE)

    def ask(self, tab: Page) -> list[str]:
        """What axe finds in the page and, by the slow rules, in what no page before it had, in light and in dark. The page is dark after it."""
        if not tab.evaluate("'axe' in window"):
            tab.evaluate(LOAD_AXE)
        tab.emulate_media(color_scheme="light")
        new = tab.evaluate(MARK, sorted(self._seen))
        self._seen.update(new)
        found: list[str] = tab.evaluate(RUN_AXE, {"runOnly": TAGS, "rules": {rule: {"enabled": bool(new)} for rule in SELECTORS}})
        tab.emulate_media(color_scheme="dark")
        if new:
            found += [f"dark: {fault}" for fault in tab.evaluate(RUN_AXE, {"runOnly": {"type": "rule", "values": COLOURS}})]
        return found
