"""The HTML page: what stands in it, and in a browser that it works without a network."""

import json
import re
import shutil
from collections import Counter
from dataclasses import replace
from datetime import date
from html.parser import HTMLParser

import pytest

from mogabench.paper import get_paper
from mogabench.records import Store, packaged_results
from mogabench.tables.added import Added, add_network
from mogabench.tables.join import join, select_columns
from mogabench.tables.page import render_page
from mogabench.tables.page.chart import HEIGHT, WIDTH, Axis, Chart, Mark, linear_axis, log_axis
from mogabench.tables.page.figures import curve_charts
from mogabench.tables.page.overview import overview
from mogabench.tables.points import scatters
from mogabench.tables.rendering import RENDERERS
from mogabench.tables.trainings import CURVE, folder_of, trainings
from mogabench.tasks import get_task

LARGEST = 2_000_000
"""Bytes that the page may have."""


@pytest.fixture(scope="module")
def page(store, tables):
    return render_page(
        tables,
        scatters=scatters(tables, store),
        trainings=trainings(store),
        results=packaged_results(),
    )


class Elements(HTMLParser):
    """The elements of a page with their attributes, and the texts of the cells of each row."""

    def __init__(self, text):
        super().__init__()
        self.found, self.rows, self.row = [], {}, None
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        attributes = dict(attributes)
        self.found.append((tag, attributes))
        if tag == "tr":
            self.row = self.rows.setdefault(attributes.get("id"), [])
        if tag in ("td", "th"):
            self.row.append("")

    def handle_data(self, data):
        if self.row:
            self.row[-1] += data.strip()


def test_the_page_needs_nothing_beside_it_and_is_small_and_the_same_each_time(page, store, tables):
    assert len(page.encode()) < LARGEST
    elements = Elements(page).found
    fetched = [a[n] for _, a in elements for n in ("src", "data", "poster", "srcset") if n in a]
    linked = {a["href"] for tag, a in elements if tag == "link"}
    assert fetched == [] and linked == {"data:,"}
    assert "@import" not in page and "url(" not in page and "fetch(" not in page
    outside = {a["href"] for _, a in elements if a.get("href", "").startswith("http")}
    assert outside == {"https://arxiv.org/abs/2211.03295"}
    ids = Counter(a["id"] for _, a in elements if "id" in a)
    assert max(ids.values()) == 1
    targets = {a["href"][1:] for _, a in elements if a.get("href", "").startswith("#")}
    assert targets <= set(ids)
    again = render_page(
        tables,
        scatters=scatters(tables, store),
        trainings=trainings(store),
        results=packaged_results(),
    )
    assert again == page


def test_a_row_shows_print_measurement_and_difference_and_what_is_known_of_them(page):
    parsed = Elements(page)
    assert parsed.rows["t3-9"] == [  # Table 3, SLaK-T
        *("SLaK-T", "ICLR'2023", "C", "224²"),
        *("30", "50.7*", "+69.0%", "5.0", "8.70!", "+74.1%", "82.5"),
    ]
    known = json.loads(re.search(r'id="details">(.*?)</script>', page).group(1))
    place = page.index("50.7<sup>")
    number = int(re.findall(r'data-d="(\d+)"', page[:place])[-1])
    pairs = [known["texts"][text] for text in known["lists"][number]]
    facts = dict(zip(pairs[::2], pairs[1::2], strict=True))
    assert facts["printed"] == "30 M" and "40 % of the weights at zero" in facts["reason"]
    assert facts["derived"] == "0.6 of it: 30.42"


def test_a_figure_is_sorted_in_ones(store):
    text = RENDERERS["html"]([join(get_paper("since_2024").table("1"), store)])
    of_row = re.search(r'<tr id="t1-7".*?</tr>', text).group()
    printed, measured, *_ = re.findall(r'data-value="(.*?)"[^>]*>([^<]*)', of_row)[2:]
    assert printed == ("425000000", "425M") and measured[1].startswith("42")  # StarNet-S1
    assert float(measured[0]) == pytest.approx(425e6, rel=0.01)


def test_the_front_page_counts_every_cell_once(page, tables):
    statuses = Counter(
        cell.status.value for table in tables for row in table.rows for cell in row.cells
        if cell.status
    )  # fmt: skip
    answer = re.sub(r"<[^>]+>", "", re.search(r'class="answer">(.*?)</p>', page).group(1))
    compared, *counts = map(int, re.findall(r"\d+", answer))
    reproduced = ("rounds", "within_tolerance", "reproduced", "within_noise")
    assert counts[0] == sum(statuses[status] for status in reproduced)
    assert counts[1] == statuses["known_reason"]
    assert counts[2] == sum(statuses[status] for status in ("unexplained", "above", "below"))
    assert compared == sum(counts[:3])
    assert sum(counts) == sum(statuses.values())


def test_one_table_makes_a_page_too_and_a_name_of_ones_own_is_only_text(store):
    name = "</script><b>mine&"
    table = add_network(get_paper().table("3"), Added("resnet26"))
    *rows, own = table.rows
    own = replace(own, label=name, cells=own.cells | {"Architecture": name})
    table = replace(table, rows=(*rows, own))
    text = RENDERERS["html"]([join(table, store)])
    assert "<title>Table 3. ImageNet larger models · mogabench</title>" in text
    assert "figure_1_parameters" in text and "<b>mine" not in text
    assert Elements(text).rows["t3-52"][0] == name
    assert text.count("</script>") == 2


@pytest.mark.parametrize("head", ["Top-1", "Param."])
def test_a_page_of_some_columns_leaves_the_plots_of_others_out(store, head):
    text = RENDERERS["html"](select_columns([join(get_paper().table("3"), store)], [head]))
    assert head in text and "figure_1_parameters" not in text


def test_trainings_of_a_series_are_told_apart(page, store):
    rows = {name: row for name, row in Elements(page).rows.items() if (name or "").startswith("r")}
    assert len(rows) == len(trainings(store))
    assert len({tuple(row) for row in rows.values()}) == len(rows)
    assert any("channel_aggregation" in row[1] for row in rows.values())


def test_a_table_that_needs_no_data_says_what_waits_for_the_gpu(store):
    chosen = select_columns([join(get_paper().table("A14"), store)], ["flops", "fps"])
    page = RENDERERS["html"](chosen)
    answer = re.sub(r"<[^>]+>", "", page.partition('class="answer">')[2].partition("</p>")[0])
    assert "wait for data" not in answer and answer.endswith(" 11 wait for the paper’s GPU.")
    assert "° on another device" in page  # the cells are of a CPU


def test_a_task_of_ones_own_need_not_name_its_data(tmp_path, monkeypatch):
    monkeypatch.setattr(type(get_task("classification")), "datasets", {})
    found = overview([join(get_paper().table("A5"), Store(tmp_path))])
    assert found.data == [("data", found.counts["data"])] and found.counts["data"] > 0


@pytest.mark.parametrize(("lowest", "is_log"), [(0.5, True), (0.0, False), (-2.0, False)])
def test_a_loss_that_has_no_logarithm_has_a_linear_axis(lowest, is_log, store, tmp_path):
    record = next(one for one in trainings(store) if one.provenance.weights)
    file = tmp_path / folder_of(record) / CURVE
    file.parent.mkdir(parents=True)
    losses = {1: 3.0, 2: 1.0, 3: lowest}
    lines = (json.dumps({"step": step, "loss": loss}) for step, loss in losses.items())
    file.write_text("\n".join(lines))
    [curve] = curve_charts([record], tmp_path)
    assert curve.y.is_log == is_log
    assert 0 < curve.y.share(lowest) < curve.y.share(1.0) < curve.y.share(3.0) < 1


def chart(marks):
    return Chart("a", "A", "", log_axis("x", [1, 100]), linear_axis("y", [0, 1]), marks)


def test_an_axis_places_values_and_has_round_ticks():
    assert Axis("", 1, 100, is_log=True).share(10) == pytest.approx(0.5)
    assert Axis("", 80, 84).share(83) == pytest.approx(0.75)
    assert log_axis("", [1.2, 45]).ticks == (2, 5, 10, 20, 50)
    assert log_axis("", [6.0, 6.95]).ticks == (5.5, 6, 6.5, 7, 7.5)
    assert log_axis("", [5.8, 17.3]).ticks == (6, 8, 10, 12, 14, 16, 18)
    assert log_axis("", [0.999, 1.001], room=1.05, among=(0.9, 1)).ticks[::3] == (0.96, 1.02)
    assert linear_axis("", [79.8, 85.1]).ticks == (80, 81, 82, 83, 84, 85)


def test_labels_lie_in_the_frame():
    marks = [Mark(10 ** (n / 10), n / 20, f"r{n}", "", "ours", label="Network") for n in range(21)]
    labels = list(chart(marks).labels())
    assert len(labels) == len(marks)
    half = 3 * len("Network")
    assert all(half <= label.x <= WIDTH - half and 0 < label.y < HEIGHT for label in labels)


def test_a_network_at_one_place_twice_has_one_label():
    twice = [Mark(5, 0.5, row, "", "ours", label="SLaK-B") for row in ("t5-1", "tA11-1")]
    assert [label.text for label in chart(twice).labels()] == ["SLaK-B"]


@pytest.fixture(scope="module")
def browser(page, tmp_path_factory):
    """Chromium with the page open, which keeps what it says and asks for."""
    programs = [shutil.which("chromium"), shutil.which("chromedriver")]
    if None in programs:
        pytest.skip("needs apt-get install chromium-driver")
    webdriver = pytest.importorskip("selenium.webdriver", reason="needs pip install -e '.[dev]'")
    folder = tmp_path_factory.mktemp("browser")
    options = webdriver.ChromeOptions()
    options.binary_location = programs[0]
    for word in (
        *("headless", "no-sandbox", "disable-gpu", "no-first-run", "window-size=1280,900"),
        *("disable-background-networking", "disable-component-update", "disable-sync"),
        f"user-data-dir={folder / 'profile'}",
    ):
        options.add_argument(f"--{word}")
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    service = webdriver.ChromeService(programs[1])
    driver = webdriver.Chrome(options=options, service=service)
    (folder / "index.html").write_text(page)
    driver.get((folder / "index.html").as_uri())
    yield driver
    driver.quit()


CONTRASTS = """
const canvas = document.createElement("canvas").getContext("2d", {willReadFrequently: true});
const parse = (color) => {
  canvas.clearRect(0, 0, 1, 1); canvas.fillStyle = color; canvas.fillRect(0, 0, 1, 1);
  return [...canvas.getImageData(0, 0, 1, 1).data];
};
const luminance = (color) => {
  const [r, g, b] = color.slice(0, 3).map((v) => v / 255)
    .map((v) => (v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4));
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
};
const behind = (element) => {
  for (let at = element; at; at = at.parentElement) {
    const color = parse(getComputedStyle(at).backgroundColor);
    if (color[3] === 255) return color;
  }
  return [255, 255, 255, 255];
};
const found = new Map();
for (const element of document.querySelectorAll("body *")) {
  const own = [...element.childNodes].some((n) => n.nodeType === 3 && n.data.trim());
  if (!own || ["SCRIPT", "STYLE"].includes(element.tagName)) continue;
  const style = getComputedStyle(element);
  const color = parse(element.ownerSVGElement ? style.fill : style.color);
  const [one, other] = [luminance(color), luminance(behind(element))];
  const ratio = (Math.max(one, other) + 0.05) / (Math.min(one, other) + 0.05);
  const name = `${element.tagName}.${element.getAttribute("class") ?? ""} ${color}`;
  if (ratio < 4.5) found.set(name, ratio);
}
return [...found];
"""


def click(browser, selector):
    from selenium.webdriver.common.by import By

    element = browser.find_element(By.CSS_SELECTOR, selector)
    browser.execute_script(
        "arguments[0].scrollIntoView({block:'center',behavior:'instant'})", element
    )
    browser.execute_script("window.scrolled = new Promise((done) => setTimeout(done, 100))")
    element.click()


def chosen(browser):
    """The row that is chosen, whether it is to be seen, and the plots in which it is marked."""
    return browser.execute_script(
        "const row = document.querySelector('tr.chosen');"
        "const {top, bottom} = row.getBoundingClientRect();"
        "const figures = [...document.querySelectorAll('.marks .chosen')];"
        "return [row.id, top >= 0 && bottom <= innerHeight && !row.hidden,"
        "  figures.map((mark) => mark.closest('figure').id)]"
    )


def metric_and_figure(result):
    name, figure = re.match(r"(.+?) ([\d.]+)", result).groups()
    return name.casefold(), float(figure)


@pytest.mark.slow
def test_in_a_browser_points_and_rows_are_linked_and_nothing_is_fetched(browser):
    from selenium.webdriver.common.by import By
    from selenium.webdriver.common.keys import Keys
    from selenium.webdriver.support.ui import WebDriverWait

    browser.execute_script("document.documentElement.style.scrollBehavior = 'auto'")
    panel = browser.find_element(By.ID, "panel")

    click(browser, '#figure_1_parameters .marks a[href="#t3-11"]')  # from a point to its row
    row, is_seen, figures = chosen(browser)
    assert (row, is_seen) == ("t3-11", True) and "figure_1_parameters" in figures
    assert panel.is_displayed() and "Table 3, MogaNet-S, Param. (M)" in panel.text
    assert "mogabench" in panel.text  # the command
    browser.switch_to.active_element.send_keys(Keys.ESCAPE)
    assert not panel.is_displayed() and browser.find_elements(By.CSS_SELECTOR, ".chosen") == []

    click(browser, "#t3-9 td.m")  # from a row to its points
    row, _, figures = chosen(browser)
    assert row == "t3-9" and {"figure_1_parameters", "operations_ratio"} <= set(figures)
    assert "0.6 of it: 30.42" in panel.text
    browser.switch_to.active_element.send_keys(Keys.ARROW_DOWN, Keys.ENTER)  # the keyboard alone
    assert chosen(browser)[0] == "t3-10"
    browser.switch_to.active_element.send_keys(Keys.ESCAPE)

    click(browser, '.chips [data-group="unexplained"]')
    shown = browser.find_elements(By.CSS_SELECTOR, "section.table tbody tr:not([hidden])")
    texts = [line.text for line in shown if line.is_displayed()]
    assert len(texts) > 20 and all("!" in text for text in texts)
    browser.find_element(By.ID, "find").send_keys("SLaK-T")
    found = browser.find_element(By.ID, "found")
    WebDriverWait(browser, 5).until(lambda _: found.text == "1 rows in 1 tables")
    point = '#parameters_ratio .marks a.differs[aria-label^="Swin-S, Table A15"]'
    hidden = browser.find_element(By.CSS_SELECTOR, point).get_dom_attribute("href")
    click(browser, point)  # of a row that the filter hides
    assert chosen(browser)[:2] == [hidden.partition("#")[2], True] and found.text == ""

    result = "document.querySelector('#trainings tbody tr').cells[5].textContent"
    browser.execute_script(f"{result} = 'Top-1 100.00 % on 8 images'")  # of more digits than others
    for table, place, key in (
        ("table-3", 4, float),
        ("trainings", 5, metric_and_figure),
        ("trainings", 6, date.fromisoformat),
    ):
        rows = f"[...document.querySelectorAll('#{table} tbody tr')]"
        texts = f"return {rows}.map((row) => row.cells[{place}].innerText)"
        printed = browser.execute_script(texts)
        upwards = sorted(printed, key=key)
        assert printed not in (upwards, upwards[::-1])
        for order in (upwards, upwards[::-1], printed):
            browser.execute_script(
                f"document.querySelector('#{table} [data-place=\"{place}\"] button').click()"
            )
            assert list(map(key, browser.execute_script(texts))) == list(map(key, order))

    said = [entry["message"] for entry in browser.get_log("browser")]
    assert said == []
    events = [json.loads(entry["message"])["message"] for entry in browser.get_log("performance")]
    asked = [
        event["params"]["request"]["url"] for event in events
        if event["method"] == "Network.requestWillBeSent"
        and event["params"]["documentURL"].startswith("file:")  # else Chromium's own pages
    ]  # fmt: skip
    page = browser.current_url.partition("#")[0]
    assert [url for url in asked if not url.startswith("data:")] == [page]


@pytest.mark.slow
def test_in_a_browser_a_link_of_any_name_is_followed_and_thousands_may_have_commas(
    browser, store, tmp_path
):
    first, file = browser.current_url, tmp_path / "named.html"
    text = RENDERERS["html"]([join(get_paper().table("A5"), store)])
    file.write_text(text.replace("tA5-", "tÄ 5-"))  # as of a table "Ä 5"
    browser.get(file.as_uri())
    click(browser, "td.m")
    click(browser, "#facts .links a")  # to the row
    assert [entry["message"] for entry in browser.get_log("browser")] == []
    number = "return sortKey({textContent: arguments[0], dataset: {}}).number"
    assert browser.execute_script(number, "−1,234,567.5") == -1234567.5
    browser.get(first)


@pytest.mark.slow
def test_in_a_browser_m_is_less_than_g_and_what_is_empty_is_last(browser, store, tmp_path):
    first, file = browser.current_url, tmp_path / "since.html"
    file.write_text(RENDERERS["html"]([join(get_paper("since_2024").table("1"), store)]))
    browser.get(file.as_uri())
    head = "[...document.querySelectorAll('th[data-place=\"7\"] button')]"
    assert browser.execute_script(f"return {head}.map((one) => one.textContent)") == ["printed"]
    for direction in (1, -1):
        shown = browser.execute_script(
            f"{head}[0].click(); return [...document.querySelectorAll('#table-1 tbody tr')]"
            ".map((row) => row.cells[7].textContent)"
        )
        figures = [float(t[:-1]) * {"M": 1e6, "G": 1e9}[t[-1]] for t in shown if t]
        assert figures == sorted(figures, reverse=direction < 0) and 425e6 in figures
        assert not any(shown[len(figures) :]) and len(figures) < len(shown)
    browser.get(first)


@pytest.mark.slow
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_in_a_browser_every_text_has_contrast_and_a_phone_needs_no_scrolling_aside(browser, scheme):
    try:
        features = [{"name": "prefers-color-scheme", "value": scheme}]
        browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})
        assert browser.execute_script(CONTRASTS) == []  # WCAG AA: 4.5 to 1
        for width in (1280, 390):
            size = {"width": width, "height": 850, "deviceScaleFactor": 1, "mobile": width < 600}
            browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
            assert browser.execute_script("return document.documentElement.scrollWidth") <= width
    finally:
        browser.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
