"""What no schema can say of a call record: that it began in the past, and was connected and over after that."""

import re

import schemathesis

INSTANT = re.compile(r"20[0-9]{12}")
# Leap years, so that each day of the calendar stays one.
YEARS = {"sdt": "2020", "edt": "2024", "swidt": "2024"}


def settled(record):
    if not isinstance(record, dict):
        return record
    instants = {
        name: year + record[name][4:]
        for name, year in YEARS.items()
        if isinstance(record.get(name), str) and INSTANT.fullmatch(record[name])
    }
    return {**record, **instants}


@schemathesis.hook
def map_query(context, query):
    return settled(query)


@schemathesis.hook
def map_body(context, body):
    return settled(body)
