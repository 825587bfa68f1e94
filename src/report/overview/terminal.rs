//! A sheet as text for a terminal of some width.

use super::sheet::{Block, Content, Sheet, Tone, grouped, percent};
use crate::report::width::{NARROWEST, shortened, width, wrapped};

/// Columns where there is no terminal.
const COLUMNS: usize = 80;
/// A bar takes no fewer columns; where there are not so many, there is none.
const BAR: usize = 4;
/// A reason takes no fewer columns; where there are not so many, it stands below.
const REASON: usize = 16;
/// Before what stands below.
const BELOW: usize = 4;
/// Before a row of a table, and between two of its columns.
const INDENT: usize = 2;
const GAP: usize = 2;
/// The most columns that a label takes.
const LABEL: usize = 40;

/// The text that shows `sheet` on a terminal of so many `columns`, in colours if it is `coloured`.
pub fn text(sheet: &Sheet, columns: Option<usize>, coloured: bool) -> String {
    let columns = columns.unwrap_or(COLUMNS).max(NARROWEST);
    let mut screen = Screen { text: String::new(), width: columns, coloured };
    for title in wrapped(&sheet.title, columns) {
        screen.line(&screen.bold(&title));
    }
    let span = wrapped(&sheet.span, columns);
    span.iter().for_each(|line| screen.line(line));
    for line in sheet.warning.iter().flat_map(|warning| wrapped(warning, columns)) {
        screen.line(&screen.coloured(&line, Tone::Bad));
    }
    screen.line("");
    let size = sheet.figures.iter().map(|(number, _)| width(number)).max().unwrap_or_default();
    for (number, what) in &sheet.figures {
        let what = wrapped(what, columns.saturating_sub(size + 1));
        for (place, line) in what.iter().enumerate() {
            let number = if place == 0 { number } else { "" };
            screen.line(&format!("{number:>size$} {line}"));
        }
    }
    sheet.blocks.iter().for_each(|block| screen.block(block));
    screen.text
}

struct Screen {
    text: String,
    width: usize,
    coloured: bool,
}

impl Screen {
    fn line(&mut self, text: &str) {
        self.text.push_str(text.trim_end());
        self.text.push('\n');
    }

    fn bold(&self, text: &str) -> String {
        if self.coloured { format!("\x1b[1m{text}\x1b[0m") } else { text.to_owned() }
    }

    fn block(&mut self, block: &Block) {
        self.line("");
        self.line(&self.bold(block.title));
        if !block.note.is_empty() {
            wrapped(&block.note, self.width).iter().for_each(|line| self.line(line));
        }
        match &block.content {
            Content::Bars { bars, total } => {
                let label = bars.iter().map(|bar| width(&bar.label)).max().unwrap_or_default();
                let label = label.min(LABEL).min(self.width / 2);
                let numbers = bars.iter().map(|bar| grouped(bar.count).len()).max();
                let numbers = numbers.unwrap_or_default();
                // Blanks between the four columns, and the share.
                let room = self.width.saturating_sub(label + numbers + 7 + 4 + 3);
                if room < BAR {
                    // Blanks before the first and between the two columns.
                    let label = label.min(self.width.saturating_sub(numbers + 3));
                    for bar in bars {
                        let (text, count) = (fitted(&bar.label, label), grouped(bar.count));
                        self.line(&format!("  {text} {count:>numbers$}"));
                    }
                    return;
                }
                for bar in bars {
                    let drawn = drawn(bar.count, *total, room);
                    let padding = room - width(&drawn);
                    let drawn = self.coloured(&drawn, bar.tone);
                    let text = fitted(&bar.label, label);
                    let (count, share) = (grouped(bar.count), percent(bar.count, *total));
                    self.line(&format!(
                        "  {text} {drawn}{:padding$} {count:>numbers$} {share:>7}",
                        ""
                    ));
                }
            }
            Content::Table { heads, rows } => {
                self.rows(heads, rows);
            }
        }
    }

    /// A table. What is last in a row may take several lines: it is a reason, and has no other place.
    fn rows(&mut self, heads: &[&str], rows: &[Vec<String>]) {
        let sizes: Vec<usize> = heads
            .iter()
            .enumerate()
            .map(|(place, head)| {
                let cells = rows.iter().filter_map(|row| row.get(place));
                cells.map(|cell| width(cell)).max().unwrap_or_default().max(width(head))
            })
            .collect();
        // All but the first are short words, so the first gives way.
        let others: usize = sizes.iter().skip(1).rev().skip(1).map(|size| size + GAP).sum();
        let last = sizes.last().copied().unwrap_or_default();
        let room = self.width.saturating_sub(INDENT + others + GAP);
        let first = sizes.first().copied().unwrap_or_default();
        let first = first.min(LABEL).min(room.saturating_sub(last).max(room / 2));
        let start = INDENT + first + GAP + others;
        if self.width < start + REASON && last > self.width.saturating_sub(start) {
            return rows.iter().for_each(|row| self.stacked(row));
        }
        let heads = heads.iter().map(|head| (*head).to_owned()).collect::<Vec<_>>();
        for row in [&heads].into_iter().chain(rows) {
            let Some((reason, cells)) = row.split_last() else { continue };
            let mut line = " ".repeat(INDENT);
            for (place, cell) in cells.iter().enumerate() {
                let size = if place == 0 { Some(&first) } else { sizes.get(place) };
                line.push_str(&fitted(cell, size.copied().unwrap_or_default()));
                line.push_str(&" ".repeat(GAP));
            }
            for reason in wrapped(reason, self.width.saturating_sub(start).max(1)) {
                self.line(&(std::mem::replace(&mut line, " ".repeat(start)) + &reason));
            }
        }
    }

    /// A row whose first cell stands above the others.
    fn stacked(&mut self, row: &[String]) {
        let Some((target, others)) = row.split_first() else { return };
        self.line(&format!("  {}", shortened(target, self.width.saturating_sub(INDENT))));
        for line in wrapped(&others.join("  "), self.width.saturating_sub(BELOW)) {
            self.line(&format!("{:BELOW$}{line}", ""));
        }
    }

    fn coloured(&self, text: &str, tone: Tone) -> String {
        let colour = match tone {
            Tone::Good => 32,
            Tone::Plain => 34,
            Tone::Warning => 33,
            Tone::Bad => 31,
        };
        if self.coloured { format!("\x1b[{colour}m{text}\x1b[0m") } else { text.to_owned() }
    }
}

/// A bar of `room` columns at most; what there is can be seen.
fn drawn(count: u64, total: u64, room: usize) -> String {
    const PARTS: [char; 7] = ['▏', '▎', '▍', '▌', '▋', '▊', '▉'];
    let eighths = (count as f64 * (room * 8) as f64 / total.max(1) as f64).round() as usize;
    let eighths = eighths.clamp(usize::from(count > 0), room * 8);
    let mut text = "█".repeat(eighths / 8);
    text.extend((eighths % 8).checked_sub(1).and_then(|place| PARTS.get(place)));
    text
}

/// `text` in exactly `size` columns.
fn fitted(text: &str, size: usize) -> String {
    let fitting = shortened(text, size);
    let padding = size.saturating_sub(width(&fitting));
    format!("{fitting}{:padding$}", "")
}
