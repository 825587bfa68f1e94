//! The chapters of the reference as sections of the man page: Markdown to roff.

use pulldown_cmark::{Event, HeadingLevel, Options, Parser, Tag, TagEnd};
use tlsweep::manual::CHAPTERS;

/// Every chapter as a section, in the macros of man(7).
pub(crate) fn chapters() -> String {
    CHAPTERS.iter().map(|chapter| section(chapter.text)).collect()
}

fn section(markdown: &str) -> String {
    let mut section = Section::default();
    for event in Parser::new_ext(markdown, Options::ENABLE_TABLES) {
        section.take(event);
    }
    section.roff
}

/// The roff of a chapter, as far as its Markdown has been read.
#[derive(Default)]
struct Section {
    roff: String,
    /// The text of the paragraph, heading or table cell that is being read, escaped.
    text: String,
    /// The heads of the table's columns.
    heads: Vec<String>,
    /// The cells of the table's row that is being read.
    row: Vec<String>,
    is_in_item: bool,
    is_in_code: bool,
}

impl Section {
    fn take(&mut self, event: Event<'_>) {
        match event {
            Event::Start(tag) => self.begin(&tag),
            Event::End(tag) => self.end(tag),
            Event::Text(text) if self.is_in_code => self.code(&text),
            Event::Text(text) => self.text.push_str(&escaped(&text)),
            Event::Code(code) => {
                self.text.push_str(&format!(r"\fB{}\fR", escaped(&code)));
            }
            Event::SoftBreak | Event::HardBreak => self.text.push(' '),
            _ => {}
        }
    }

    fn begin(&mut self, tag: &Tag<'_>) {
        match tag {
            Tag::CodeBlock(_) => {
                self.is_in_code = true;
                self.roff.push_str(".PP\n.RS 4\n.nf\n");
            }
            Tag::Item => self.is_in_item = true,
            Tag::Strong | Tag::Emphasis => self.text.push_str(r"\fI"),
            _ => {}
        }
    }

    fn end(&mut self, tag: TagEnd) {
        match tag {
            TagEnd::Heading(HeadingLevel::H1) => self.line(".SH", |text| text.to_uppercase()),
            TagEnd::Heading(_) => self.line(".SS", str::to_owned),
            TagEnd::Paragraph if !self.is_in_item => self.block(".PP"),
            TagEnd::Item => {
                self.block(".IP \\(bu 2");
                self.is_in_item = false;
            }
            TagEnd::CodeBlock => {
                self.is_in_code = false;
                self.roff.push_str(".fi\n.RE\n");
            }
            TagEnd::Strong | TagEnd::Emphasis => self.text.push_str(r"\fR"),
            TagEnd::TableCell => self.row.push(std::mem::take(&mut self.text)),
            TagEnd::TableHead => self.heads = std::mem::take(&mut self.row),
            TagEnd::TableRow => self.row(),
            _ => {}
        }
    }

    /// A macro with the text as its argument.
    fn line(&mut self, name: &str, change: impl Fn(&str) -> String) {
        let text = change(&std::mem::take(&mut self.text));
        self.roff.push_str(&format!("{name} \"{text}\"\n"));
    }

    /// A macro, and the text below it.
    fn block(&mut self, name: &str) {
        let text = std::mem::take(&mut self.text);
        if !text.is_empty() {
            self.roff.push_str(&format!("{name}\n{}\n", protected(&text)));
        }
    }

    /// A row of a table: its first cell, and below it the others, each with the head of its column.
    fn row(&mut self) {
        let row = std::mem::take(&mut self.row);
        let Some((first, others)) = row.split_first() else { return };
        let others =
            others.iter().zip(self.heads.iter().skip(1)).filter(|(cell, _)| !cell.is_empty());
        let others: Vec<_> = others
            .map(|(cell, head)| match head.as_str() {
                "" => cell.clone(),
                head => format!("{head}: {cell}"),
            })
            .collect();
        self.roff.push_str(&format!(".TP\n{}\n", protected(first)));
        if !others.is_empty() {
            self.roff.push_str(&format!("{}\n", protected(&others.join("; "))));
        }
    }

    fn code(&mut self, text: &str) {
        for line in text.lines() {
            self.roff.push_str(&protected(&escaped(line)));
            self.roff.push('\n');
        }
    }
}

/// Text without the characters that roff would interpret.
fn escaped(text: &str) -> String {
    text.replace('\\', "\\e").replace('-', "\\-").replace('"', "\\(dq")
}

/// A line that begins with neither of the characters by which roff knows a macro.
fn protected(line: &str) -> String {
    match line.starts_with(['.', '\'']) {
        true => format!("\\&{line}"),
        false => line.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paragraphs_lists_and_code() {
        let roff = section(
            "# Head-ings\n\nOne `--flag`\nand *more*.\n\n- item\n\n```\n.dot \\ back\n```\n",
        );
        let expected = ".SH \"HEAD\\-INGS\"\n.PP\nOne \\fB\\-\\-flag\\fR and \\fImore\\fR.\n\
            .IP \\(bu 2\nitem\n.PP\n.RS 4\n.nf\n\\&.dot \\e back\n.fi\n.RE\n";
        assert_eq!(roff, expected);
    }

    #[test]
    fn a_row_is_its_first_cell_and_the_others_below_it() {
        let roff = section("| a | | c |\n|---|---|---|\n| `x` | y | z |\n| w | | |\n");
        assert_eq!(roff, ".TP\n\\fBx\\fR\ny; c: z\n.TP\nw\n");
    }
}
