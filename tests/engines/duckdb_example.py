#!/usr/bin/env python3
"""Asks three questions of the results of a sweep, however many files they are in.

    python3 duckdb_example.py 'out.*.jsonl'

DuckDB reads JSON lines as they are, in parallel, and compressed ones (.zst, .gz) too.
"""

import sys

import duckdb

# Only the fields that are asked about. Left to guess, DuckDB knows none that the lines it looks at
# happen not to have: a sweep without a failure would have no column error.
FIELDS = {
    "target": "VARCHAR",
    "ok": "BOOLEAN",
    "error": "STRUCT(stage VARCHAR, kind VARCHAR)",
    "tls": 'STRUCT(version VARCHAR, "group" VARCHAR)',
    "cert": "STRUCT(issuer VARCHAR, days_left BIGINT)",
    "trust": "STRUCT(verdict VARCHAR)",
    "ms": "STRUCT(handshake DOUBLE)",
}

QUESTIONS = {
    "What came out, and how often?": """
        SELECT if(ok, 'ok', error.stage || '/' || error.kind) AS result, count(*) AS targets
        FROM results GROUP BY result ORDER BY targets DESC, result
    """,
    "What do they speak, and how long does the handshake take?": """
        SELECT tls.version AS version, tls."group" AS "group", count(*) AS targets,
               round(median(ms.handshake), 1) AS median_ms
        FROM results WHERE ok GROUP BY ALL ORDER BY targets DESC, version, "group"
    """,
    "Which certificates end within a month, and whose are they?": """
        SELECT target, cert.days_left AS days_left, cert.issuer AS issuer, trust.verdict AS verdict
        FROM results WHERE cert.days_left < 30 ORDER BY days_left, target LIMIT 20
    """,
}


def main():
    if len(sys.argv) != 2:
        sys.exit(f"usage: {sys.argv[0]} FILES")
    results = duckdb.read_json(sys.argv[1], format="newline_delimited", columns=FIELDS)
    for question, query in QUESTIONS.items():
        print(question)
        print(results.query("results", query))


if __name__ == "__main__":
    main()
