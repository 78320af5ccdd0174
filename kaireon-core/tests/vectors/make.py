#!/usr/bin/env python3
"""Makes the vectors beside this file, with Python's calendar and decimal arithmetic and none of our code.

    python3 kaireon-core/tests/vectors/make.py

The output depends on nothing but this file: it is committed, and making it again changes nothing. Python 3.9 or
later; only the standard library.
"""

import datetime
import decimal
import fractions
import json
import pathlib
import random

HERE = pathlib.Path(__file__).parent
decimal.getcontext().prec = 80
MICRO = decimal.Decimal("0.000001")


def write(name, rows):
    """One row a line, so that a change can be read in a diff."""
    lines = ",\n".join(json.dumps(row, separators=(",", ":")) for row in rows)
    (HERE / name).write_text(f"[\n{lines}\n]\n")


def keys(day):
    year, week, _ = day.isocalendar()
    return [day.isoformat(), f"{year:04}-W{week:02}", f"{day.year:04}-{day.month:02}"]


def plain(number):
    """A decimal as the contract writes it: no exponent, no trailing zeros, no negative zero."""
    text = f"{number:f}"
    if "." in text:
        text = text.rstrip("0").rstrip(".")
    return "0" if text in ("-0", "") else text


def periods():
    """[day, ISO week, month] for the turns of the years, leap days, ends of months, and days in between."""
    days = set()
    for year in range(2000, 2042):
        turn = datetime.date(year, 1, 1)
        days.update(turn + datetime.timedelta(days=offset) for offset in range(-4, 5))
        march = datetime.date(year, 3, 1)
        days.update(march - datetime.timedelta(days=offset) for offset in range(0, 3))
    day = datetime.date(2000, 1, 1)
    while day < datetime.date(2041, 1, 1):
        days.add(day)
        day += datetime.timedelta(days=53)
    write("periods.json", [keys(day) for day in sorted(days)])


def sums():
    """[terms, sum] in decimals, the bounds of a value among them."""
    draw = random.Random(20260430)
    largest = decimal.Decimal(2**63 - 1) * MICRO
    smallest = -decimal.Decimal(2**63) * MICRO
    cases = [
        [],
        [decimal.Decimal("0.1")] * 10,
        [decimal.Decimal("0.000001"), decimal.Decimal("-0.000001")],
        [largest] * 9 + [smallest] * 4,
        [smallest] * 12,
        [largest, MICRO, MICRO, smallest],
    ]
    for _ in range(40):
        wide = draw.choice([10**3, 10**8, 10**13, 2**63 - 1])
        cases.append([decimal.Decimal(draw.randint(-wide, wide)) * MICRO for _ in range(draw.randint(1, 12))])
    write("sums.json", [[[plain(term) for term in terms], plain(sum(terms, decimal.Decimal(0)))] for terms in cases])


TYPES = {
    "impression": "neutral",
    "click": "positive",
    "dismiss": "negative",
    "accept": "positive",
    "convert": "positive",
    "complaint": "negative",
    "page_view": "neutral",
}


def folds():
    """Histories of one customer, and every summary in the order of reads."""
    draw = random.Random(53)
    cases = []
    for turn in ("2004-12-31", "2016-01-01", "2026-12-31"):
        around = datetime.datetime.fromisoformat(turn).replace(tzinfo=datetime.timezone.utc)
        events = []
        for number in range(24):
            minutes = draw.randint(-4 * 24 * 60, 4 * 24 * 60)
            # Some share a timestamp, so that the id decides which is the last.
            minutes -= minutes % draw.choice([1, 720])
            kind = draw.choice(sorted(TYPES))
            value = None
            if draw.random() < 0.6:
                value = plain(decimal.Decimal(draw.randint(-(2**63), 2**63 - 1)) * MICRO)
            events.append(
                {
                    "id": f"i{draw.randint(100, 999)}{number:02}",
                    "offer": draw.choice(["shoes", "hat"]),
                    "creative": draw.choice(["banner", "banner-2"]),
                    "channel": draw.choice(["web", "mail"]),
                    "type": kind,
                    "classification": TYPES[kind],
                    "outcome": f"{kind}-{draw.randint(1, 3)}",
                    "value": value,
                    "timestamp": stamp(around + datetime.timedelta(minutes=minutes)),
                }
            )
        cases.append({"events": events, "summaries": summaries(events)})
    write("folds.json", cases)


def stamp(time):
    return time.strftime("%Y-%m-%dT%H:%M:%S.000Z")


def summaries(events):
    groups = {}
    for event in events:
        day, week, month = keys(datetime.date.fromisoformat(event["timestamp"][:10]))
        for rank, period in enumerate((day, week, month, "all")):
            for order, dimension in enumerate(("offer", "creative", "channel")):
                groups.setdefault((rank, period, order, dimension, event[dimension]), []).append(event)
    # By type of period, newest first, then by dimension and value. Two stable sorts.
    ordered = sorted(groups.items(), key=lambda group: group[0][2:])
    ordered.sort(key=lambda group: group[0][1], reverse=True)
    ordered.sort(key=lambda group: group[0][0])
    return [summary(dimension, value, period, group) for (_, period, _, dimension, value), group in ordered]


def summary(dimension, value, period, group):
    last = max(group, key=lambda event: (event["timestamp"], event["id"]))
    values = (decimal.Decimal(event["value"]) for event in group if event["value"] is not None)
    return [
        dimension,
        value,
        period,
        sum(event["type"] == "impression" for event in group),
        sum(event["classification"] == "positive" for event in group),
        sum(event["classification"] == "negative" for event in group),
        sum(event["classification"] == "neutral" for event in group),
        sum(event["type"] == "convert" for event in group),
        plain(sum(values, decimal.Decimal(0))),
        last["timestamp"],
        last["outcome"],
    ]


def credits():
    """[model, half-life in s, ages of the touches in s, value in micros, credit in micros, shares of the value]."""
    draw = random.Random(404020)
    rows = []
    for model in ("last_touch", "first_touch", "linear", "time_decay", "position_based"):
        for touches in (1, 2, 3, 4, 7, 11):
            ages = sorted((draw.randint(0, 10 * 86_400) for _ in range(touches)), reverse=True)
            half_life = draw.choice([3_600, 86_400, 7 * 86_400])
            value = draw.choice([1, 10**6, 12_345_678, 2**63 - 1, -(2**63), -7])
            parts = weights(model, ages, half_life)
            rows.append([model, half_life, ages, value, share(10**6, parts), share(value, parts)])
    write("credits.json", rows)


def weights(model, ages, half_life):
    count = len(ages)
    if model == "last_touch":
        return [fractions.Fraction(int(at == count - 1)) for at in range(count)]
    if model == "first_touch":
        return [fractions.Fraction(int(at == 0)) for at in range(count)]
    if model == "linear" or (model == "position_based" and count < 3):
        return [fractions.Fraction(1, count)] * count
    if model == "position_based":
        ends = fractions.Fraction(40, 100)
        return [ends] + [fractions.Fraction(20, 100) / (count - 2)] * (count - 2) + [ends]
    half = decimal.Decimal(1) / 2
    return [fractions.Fraction(half ** (decimal.Decimal(age) / half_life)) for age in ages]


def share(whole, parts):
    """Hamilton's method, towards zero; of equal remainders the earlier is served."""
    sign = -1 if whole < 0 else 1
    exact = [abs(whole) * part / sum(parts) for part in parts]
    shares = [int(part) for part in exact]
    cut = sorted(range(len(parts)), key=lambda at: shares[at] - exact[at])
    for at in cut[: abs(whole) - sum(shares)]:
        shares[at] += 1
    return [sign * part for part in shares]


if __name__ == "__main__":
    periods()
    sums()
    folds()
    credits()
