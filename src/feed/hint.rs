//! Guesses what a list is when it does not look like a list of targets.

/// A guess about a list, with the remedy.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Hint {
    /// `1,example.com`: a ranking, such as Tranco's.
    Ranking,
    /// JSON, one document or one a line.
    Json,
    /// The first line names columns.
    Header,
}

/// Names of columns that begin a header.
const COLUMNS: [&str; 13] = [
    "address", "domain", "fqdn", "host", "hostname", "id", "ip", "name", "rank", "saddr", "site",
    "target", "url",
];

impl Hint {
    /// Guesses from one line of the list.
    pub fn of(line: &str, is_first: bool) -> Option<Self> {
        let line = line.trim();
        let mut fields = line.split([',', ';', '\t']).map(|field| field.trim().trim_matches('"'));
        let first = fields.next().unwrap_or_default();
        let second = fields.next();
        let is_number = !first.is_empty() && first.bytes().all(|b| b.is_ascii_digit());
        if line.starts_with('{')
            || line == "["
            || ["[{", "[\""].iter().any(|it| line.starts_with(it))
        {
            Some(Self::Json)
        } else if is_number && second.is_some_and(|name| name.contains('.')) {
            Some(Self::Ranking)
        } else if is_first
            && second.is_some()
            && COLUMNS.iter().any(|it| it.eq_ignore_ascii_case(first))
        {
            Some(Self::Header)
        } else {
            None
        }
    }

    /// One sentence.
    pub fn text(self) -> &'static str {
        match self {
            Self::Ranking => {
                "the list looks like rank,domain; its second column is targets: cut -d, -f2 LIST | tlsweep"
            }
            Self::Json => {
                "the list looks like JSON; a target stands alone on its line: jq -r .host LIST | tlsweep"
            }
            Self::Header => {
                "the list looks like CSV with a header; a line is TARGET[,SNI[,TAG]]: tail -n +2 LIST | cut -d, -f1 | tlsweep"
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_gives_a_list_away() {
        for (line, hint) in [
            ("1,google.com", Some(Hint::Ranking)),
            ("1\tgoogle.com", Some(Hint::Ranking)),
            ("{\"host\":\"a.test\"}", Some(Hint::Json)),
            ("[{\"host\":\"a.test\"}]", Some(Hint::Json)),
            ("[", Some(Hint::Json)),
            ("Domain,IP,Port", Some(Hint::Header)),
            ("\"rank\";\"domain\"", Some(Hint::Header)),
            ("saddr,sport", Some(Hint::Header)),
            ("host", None),
            ("host,www.test", Some(Hint::Header)),
            ("a.test,b.test,7", None),
            ("192.0.2.1 443", None),
            ("192.0.2.1,www.test", None),
            ("[2001:db8::1]:443", None),
            ("", None),
        ] {
            assert_eq!(Hint::of(line, true), hint, "{line}");
        }
        assert_eq!(Hint::of("host,a.test", false), None);
    }
}
