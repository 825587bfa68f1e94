#!/usr/bin/env python3
"""Sweeps a list of targets on a Spark cluster, with one tlsweep for each partition.

    spark-submit --master ... spark_pipe.py [--partitions N] TARGETS RESULTS [COMMAND...]

TARGETS is a text file, a directory or a pattern on storage that every node can read; RESULTS is a
directory that is not there yet. COMMAND is the same on every node: the default is tlsweep -qj.

Dead hosts are results, so a task only fails when tlsweep could not do its work (exit 2 and 3; 1
with --fail-on, which therefore does not belong here). Spark tries it again then, and keeps the lines of
the try that succeeded. A partition without targets starts a tlsweep that has nothing to do.
"""

import argparse
import os
import shlex

from pyspark import SparkConf, SparkContext


def main():
    parser = argparse.ArgumentParser(description="Sweep a list of targets on a Spark cluster.")
    parser.add_argument("--partitions", type=int, help="at least so many [default: Spark's own]")
    parser.add_argument("targets")
    parser.add_argument("results")
    parser.add_argument("command", nargs=argparse.REMAINDER)
    args = parser.parse_args()
    command = shlex.join(args.command or ["tlsweep", "-qj"])

    # A second copy of a slow task would dial its targets twice.
    conf = SparkConf().setAppName("tlsweep").set("spark.speculation", "false")
    with SparkContext(conf=conf) as spark:
        (
            spark.textFile(args.targets, args.partitions)
            # Without the environment there is no PATH; without the check a failure is an empty part.
            .pipe(command, env=dict(os.environ), checkCode=True)
            .saveAsTextFile(args.results)
        )


if __name__ == "__main__":
    main()
