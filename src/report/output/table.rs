//! A table for people, which fits the terminal that it is on.

use std::io;

use crate::report::output::text::{self, Colours, NOTHING};
use crate::report::output::{Format, Layout};
use crate::report::record::Record;
use crate::report::width::{NARROWEST, shortened, width, wrapped};

/// Blanks between two columns.
const GAP: usize = 2;
/// Blanks before a note on a line of its own.
const INDENT: usize = 4;
/// The target has at least one n-th of the width, so that most names are whole.
const TARGET_SHARE: usize = 3;
/// The most columns of the terminal that the target takes.
const TARGET: usize = 44;

/// A column after the target.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
struct Column {
    name: &'static str,
    width: usize,
    /// The higher it is, the sooner the column is left out for want of room.
    rank: u8,
    is_number: bool,
}

const fn column(name: &'static str, width: usize, rank: u8, is_number: bool) -> Column {
    Column { name, width, rank, is_number }
}

/// In their order on the terminal.
const COLUMNS: [Column; 8] = [
    column("address", 15, 1, false),
    column("result", 6, 0, false),
    column("version", 7, 4, false),
    column("group", 17, 5, false),
    column("alpn", 8, 7, false),
    column("days", 6, 2, true),
    column("verdict", 18, 3, false),
    column("ms", 8, 6, true),
];

struct Table {
    /// How many columns the terminal has now.
    width: fn() -> usize,
    addresses: bool,
    colours: Colours,
}

/// What has room on the terminal, and how much.
struct Room {
    width: usize,
    target: usize,
    columns: Vec<Column>,
}

pub(super) fn format(layout: &Layout, width: fn() -> usize) -> Box<dyn Format> {
    Box::new(Table { width, addresses: layout.addresses, colours: Colours(layout.coloured) })
}

/// The columns that fit into `width`, with the address if `addresses`.
fn room(width: usize, addresses: bool) -> Room {
    let width = width.max(NARROWEST);
    let is_shown = |column: &Column| column.name != "address" || addresses;
    let mut by_rank: Vec<_> = COLUMNS.into_iter().filter(is_shown).collect();
    by_rank.sort_by_key(|column| column.rank);
    let least = (width / TARGET_SHARE).min(TARGET);
    let mut room = width - least;
    let mut columns = Vec::new();
    for column in by_rank {
        match room.checked_sub(GAP + column.width) {
            Some(left) => {
                room = left;
                columns.push(column);
            }
            None => break,
        }
    }
    columns.sort_by_key(|column| COLUMNS.iter().position(|other| other == column));
    Room { width, target: (least + room).min(TARGET), columns }
}

impl Format for Table {
    fn begin(&self, lines: &mut Vec<u8>) {
        let Room { target, columns, .. } = room((self.width)(), self.addresses);
        let mut row = Row::default();
        row.cell("target", target, false, None);
        for column in &columns {
            row.cell(column.name, column.width, column.is_number, None);
        }
        let header = self.colours.bold(row.text.to_uppercase().trim_end()) + "\n";
        lines.splice(..0, header.into_bytes());
    }

    fn append(&self, record: &Record, out: &mut Vec<u8>) -> io::Result<()> {
        let room = room((self.width)(), self.addresses);
        let cells = text::cells(record);
        let mut row = Row::default();
        // What has no room in the row has lines of its own.
        let mut below = Vec::new();
        row.cell(&shortened(cells.of("target"), room.target), room.target, false, None);
        for column in &room.columns {
            let cell = cells.of(column.name);
            let colour = self.colours.of(column.name, cell);
            if column.name == "result" && record.error.is_some() {
                // Nothing else is known of most of them: the reason takes the place of the facts.
                match row.width + GAP + width(cell) <= room.width {
                    true => row.cell(cell, width(cell), false, colour),
                    false => below.push((cell.to_owned(), colour)),
                }
                break;
            }
            let fitting = shortened(cell, column.width);
            row.cell(&fitting, column.width, column.is_number, colour);
        }
        let note = cells.of("note");
        let why = room.has("verdict").then(|| text::why(record)).flatten();
        let note = why.as_deref().unwrap_or(note);
        let address = Some(cells.of("address")).filter(|address| room.cuts("address", address));
        below.extend(address.map(|address| (format!("at {address}"), None)));
        let left = room.width.saturating_sub(row.width + GAP);
        match note {
            "" | NOTHING => {}
            _ if below.is_empty() && width(note) <= left => {
                row.cell(note, width(note), false, None);
            }
            _ => below.push((note.to_owned(), None)),
        }
        out.extend_from_slice(row.text.trim_end().as_bytes());
        out.push(b'\n');
        for (text, colour) in below {
            for line in wrapped(&text, room.width - INDENT) {
                let line = text::coloured(&line, colour);
                out.extend_from_slice(format!("{:INDENT$}{line}\n", "").as_bytes());
            }
        }
        Ok(())
    }
}

impl Room {
    fn has(&self, name: &str) -> bool {
        self.columns.iter().any(|column| column.name == name)
    }

    /// Whether a column has no room for `cell`.
    fn cuts(&self, name: &str, cell: &str) -> bool {
        let mut shown = self.columns.iter().filter(|column| column.name == name);
        shown.any(|column| width(cell) > column.width)
    }
}

/// A line in the making.
#[derive(Default)]
struct Row {
    text: String,
    /// Columns that are taken: escape sequences take none.
    width: usize,
}

impl Row {
    fn cell(&mut self, cell: &str, size: usize, is_right: bool, colour: Option<&'static str>) {
        let gap = if self.width == 0 { 0 } else { GAP };
        let taken = width(cell);
        let padding = size.saturating_sub(taken);
        let (before, after) = if is_right { (gap + padding, 0) } else { (gap, padding) };
        let cell = text::coloured(cell, colour);
        self.text.push_str(&format!("{:before$}{cell}{:after$}", "", ""));
        self.width += gap + padding + taken;
    }
}
