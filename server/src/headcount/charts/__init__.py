"""One description of each chart, for the page and for files: usage in, a Vega-Lite document out.

Takes running totals by day, gives plain dictionaries in Vega-Lite's own language, which the page
hands to Vega in the browser and the command line hands to vl-convert for PNG, SVG and PDF. Pure:
reads no clock and no file, and needs no library to describe a chart, only to draw one.

    cumulative   `cumulative_chart`: a month's running total, last month behind it, the plan's limit
    difference   `difference_charts`: two counts of one month, and on which days they part
    per_day      `daily_chart`: what was new on each day, weekends apart
    per_source   `per_source_chart`: the largest sources, stacked or as lines; `split_largest`
    look         `themed`: colours and type, light or dark, of either
    javascript   `javascript_bundle`: what a browser needs to draw them, out of vl-convert
"""

from headcount.charts.cumulative import cumulative_chart
from headcount.charts.difference import BothTotals, difference_charts
from headcount.charts.look import Size, Spec, themed
from headcount.charts.per_day import daily_chart
from headcount.charts.per_source import SOURCES_MAX, per_source_chart, split_largest
from headcount.charts.points import Point

__all__ = [
    "SOURCES_MAX",
    "BothTotals",
    "Point",
    "Size",
    "Spec",
    "cumulative_chart",
    "daily_chart",
    "difference_charts",
    "per_source_chart",
    "split_largest",
    "themed",
]
