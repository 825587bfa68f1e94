//! A sheet as text for a terminal of some width.

use unicode_width::UnicodeWidthStr;

use super::sheet::{Block, Content, Sheet, Tone, grouped, percent};

/// Columns where there is no terminal.
const COLUMNS: usize = 80;
/// Nothing is narrower.
const NARROWEST: usize = 40;
/// The most columns that a label takes.
const LABEL: usize = 40;

/// The text that shows `sheet` on a terminal of `width` columns, in colours if it is `coloured`.
pub fn text(sheet: &Sheet, width: Option<usize>, coloured: bool) -> String {
    let width = width.unwrap_or(COLUMNS).max(NARROWEST);
    let mut screen = Screen { text: String::new(), width, coloured };
    screen.line(&screen.bold(&sheet.title));
    screen.line(&sheet.span);
    screen.line("");
    let size = sheet.figures.iter().map(|(number, _)| number.width()).max().unwrap_or_default();
    for (number, what) in &sheet.figures {
        screen.line(&format!("{number:>size$} {what}"));
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
        let mut line = String::new();
        for word in block.note.split(' ').filter(|word| !word.is_empty()) {
            if !line.is_empty() && line.width() + 1 + word.width() > self.width {
                self.line(&std::mem::take(&mut line));
            }
            if !line.is_empty() {
                line.push(' ');
            }
            line.push_str(word);
        }
        if !line.is_empty() {
            self.line(&line);
        }
        match &block.content {
            Content::Bars { bars, total } => {
                let label = bars.iter().map(|bar| bar.label.width()).max().unwrap_or_default();
                let label = label.min(LABEL).min(self.width / 2);
                let numbers = bars.iter().map(|bar| grouped(bar.count).len()).max();
                let numbers = numbers.unwrap_or_default();
                // Blanks between the four columns, and the share.
                let room = self.width.saturating_sub(label + numbers + 7 + 4 + 3);
                for bar in bars {
                    let drawn = drawn(bar.count, *total, room);
                    let padding = room - drawn.width();
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
                let columns: Vec<usize> = (0..heads.len())
                    .map(|place| {
                        let cells = rows.iter().filter_map(|row| row.get(place));
                        let widest = cells.map(|cell| cell.width()).max().unwrap_or_default();
                        widest.max(heads.get(place).map_or(0, |head| head.width()))
                    })
                    .collect();
                let heads = heads.iter().map(|head| (*head).to_owned()).collect::<Vec<_>>();
                for row in [&heads].into_iter().chain(rows) {
                    let mut left = self.width - 2;
                    let mut line = " ".to_owned();
                    for (place, cell) in row.iter().enumerate() {
                        let is_last = place + 1 == row.len();
                        let wanted = columns.get(place).copied().unwrap_or_default();
                        let most = if is_last {
                            left.saturating_sub(1)
                        } else {
                            wanted.min(LABEL).min(left / 2)
                        };
                        let cell = fitted(cell, if is_last { most.min(wanted) } else { most });
                        left = left.saturating_sub(cell.width() + 1);
                        line.push(' ');
                        line.push_str(&cell);
                    }
                    self.line(&line);
                }
            }
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
    let mut fitting = text.to_owned();
    if fitting.width() > size {
        while fitting.width() + 1 > size && fitting.pop().is_some() {}
        fitting.push('…');
    }
    let padding = size.saturating_sub(fitting.width());
    format!("{fitting}{:padding$}", "")
}
