"""Markdown tables of what was measured."""
import statistics

MEDIANS = ("cpu_us_op", "ops_s", "p50_us", "p99_us", "p999_us", "max_us")


def median(samples):
    """The median of each figure over the samples that were not disturbed, or over all if none was calm."""
    calm = [s for s in samples if not s["disturbed"]]
    out = {m: statistics.median(s[m] for s in calm or samples) for m in MEDIANS}
    out["disturbed"] = len(samples) - len(calm)
    return out


def number(x):
    if x is None:
        return "–"
    if isinstance(x, str):
        return x
    if isinstance(x, int) or abs(x) >= 1000:
        return "{:,.0f}".format(x)
    return "%.2f" % x if abs(x) < 100 else "%.0f" % x


def markdown(title, header, rows):
    lines = ["", "### " + title, "", "| " + " | ".join(header) + " |", "|" + "---|" * len(header)]
    lines += ["| " + " | ".join(map(number, row)) + " |" for row in rows]
    return "\n".join(lines)


def show(title, header, rows):
    print(markdown(title, header, rows), flush=True)
