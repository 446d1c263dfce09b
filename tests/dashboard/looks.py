"""What a page of the dashboard must not do in Chromium: scroll sideways, give an id twice, or have what axe finds."""

from importlib import resources

from playwright.sync_api import Page

AXE = (resources.files("axe_playwright_python") / "axe.min.js").read_text("utf-8")
TAGS = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
COLOURS = ["color-contrast", "link-in-text-block"]  # the rules to which light and dark make a difference
RUN_AXE = """(asked) => axe.run(document, {...asked, iframes: false, resultTypes: ["violations"]}).then((found) =>
    found.violations.flatMap((each) => each.nodes.map((node) => `${each.id} at ${node.target.join(" ")}: ${node.any[0]?.message ?? each.help}`)))"""
# What scrolls sideways, a page without its one main heading, ids that are given twice.
FRAME = """() => {
  const NAMES = new Set(("home emails email test queue queue-domain domains domain keys webhooks webhook suppressions templates template smtp-log " +
    "api-log health team settings audit analytics sign-in welcome me missing elevate bulk").split(" "));
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


def ask_axe(tab: Page, *rules: str) -> list[str]:
    """What axe finds by these rules, or by all."""
    if not tab.evaluate("'axe' in window"):
        tab.evaluate(AXE)
    every = {"runOnly": TAGS, "rules": {"target-size": {"enabled": True}}}
    found: list[str] = tab.evaluate(RUN_AXE, {"runOnly": {"type": "rule", "values": [*rules]}} if rules else every)
    return found
