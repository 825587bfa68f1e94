//! The end of `--help`, made from the tables of the library.

use tlsweep::cert::Problem;
use tlsweep::report::check::CHECKS;
use tlsweep::report::output::COLUMNS;

/// Columns, conditions and exit codes.
pub(crate) fn after_help() -> String {
    let columns: Vec<_> = COLUMNS.to_vec();
    let checks = CHECKS.iter().map(|row| format!("  {:<16} {}\n", row.usage(), row.help));
    let problems: Vec<_> = Problem::ALL.iter().map(|problem| problem.as_str()).collect();
    format!(
        "Text columns: {}.\n\
         Separated by tabs; a column that does not apply is -. On a terminal, as many as fit.\n\n\
         Conditions of --fail-on (what was not observed meets only `error`, and `profile` where a rule \
         could not be judged):\n{}  \
         and every problem of the verdict, gravest first: {}\n\n\
         Exit codes: 0 complete (dead hosts are results) · 1 complete, and a --fail-on condition \
         was met · 2 usage, or an input, roots or output file that cannot be used · 3 the output, \
         summary, metrics, page or status could not be written, or targets ended in local/resource or \
         local/internal · 129, 130, 143 stopped by SIGHUP, SIGINT (or --max-time), SIGTERM.",
        columns.join("  "),
        checks.collect::<String>(),
        problems.join(" "),
    )
}
