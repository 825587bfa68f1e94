//! A sheet as one page of HTML: no script, nothing from the network.

use maud::{DOCTYPE, Markup, PreEscaped, html};

use super::sheet::{Block, Content, Sheet, Tone, grouped, percent};

const STYLE: &str = include_str!("page.css");

/// The page that shows `sheet`.
pub fn page(sheet: &Sheet) -> String {
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                title { (sheet.title) }
                style { (PreEscaped(STYLE)) }
            }
            body {
                header {
                    h1 { (sheet.title) }
                    p { (sheet.span) }
                    @if let Some(warning) = sheet.warning { p.incomplete { (warning) } }
                }
                ul.figures {
                    @for (number, what) in &sheet.figures {
                        li { strong { (number) } " " (what) }
                    }
                }
                main {
                    @for block in &sheet.blocks { (section(block)) }
                }
                footer { p { "Made by tlsweep " (env!("CARGO_PKG_VERSION")) "." } }
            }
        }
    };
    page.into_string()
}

fn section(block: &Block) -> Markup {
    let is_table = matches!(block.content, Content::Table { .. });
    html! {
        section.wide[is_table] {
            h2 { (block.title) }
            @if !block.note.is_empty() { p.note { (block.note) } }
            @match &block.content {
                Content::Bars { bars, total } => table.bars {
                    tbody {
                        @for bar in bars {
                            tr {
                                th scope="row" { (bar.label) }
                                td.bar aria-hidden="true" {
                                    div class=(tone(bar.tone)) style=(width(bar.count, *total)) {}
                                }
                                td.number { (grouped(bar.count)) }
                                td.number { (percent(bar.count, *total)) }
                            }
                        }
                    }
                },
                Content::Table { heads, rows } => table.rows {
                    thead { tr { @for head in heads { th scope="col" { (head) } } } }
                    tbody {
                        @for row in rows {
                            tr { @for cell in row { td { (cell) } } }
                        }
                    }
                },
            }
        }
    }
}

fn tone(tone: Tone) -> &'static str {
    match tone {
        Tone::Good => "good",
        Tone::Plain => "plain",
        Tone::Warning => "warning",
        Tone::Bad => "bad",
    }
}

/// As wide as its share; what there is can be seen.
fn width(count: u64, total: u64) -> String {
    let share = count as f64 * 100.0 / total.max(1) as f64;
    let share = if count > 0 { share.clamp(0.5, 100.0) } else { 0.0 };
    format!("width:{share:.1}%")
}
