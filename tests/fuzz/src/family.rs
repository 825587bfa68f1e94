//! Certificates that belong together, made from fields that the fuzzer chooses, and the paths that
//! lead through them: worked out from the same fields.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;

use crate::forge::{
    Fields, Key, alternative_names, element, extension, name, name_constraints, tag,
};
use crate::keys::{KEYS, Keys};
use crate::oracle::holds;
use crate::script::Script;

/// Moments: as certificates write them, and in seconds since 1970. The text sorts like the time.
pub const MOMENTS: [(&[u8; 15], u64); 6] = [
    (b"19700101000000Z", 0),
    (b"20200101000000Z", 1_577_836_800),
    (b"20260101000000Z", 1_767_225_600),
    (b"20270101000000Z", 1_798_761_600),
    (b"20280101000000Z", 1_830_297_600),
    (b"21000101000000Z", 4_102_444_800),
];

/// The names that certificates bear.
const NAMES: [&[u8]; 8] =
    [b"leaf", b"low", b"middle", b"high", b"root", b"narrow root", b"LOW", b"other"];

/// The key that the bearer of each name has in an orderly chain.
const HOME: [usize; NAMES.len()] = [4, 5, 6, 7, 0, 8, 5, 3];

/// The DNS names that they are for, and the subtrees of their constraints.
const DOMAINS: [&str; 5] = ["a.example", "x.a.example", "b.example", "example", "c.test"];

/// The most bytes of a chain: what a handshake message holds.
const CHAIN_LIMIT: usize = 64_000;

/// A certificate, and what it was made from.
#[derive(Clone)]
pub struct Member {
    pub der: Vec<u8>,
    pub serial: Vec<u8>,
    subject: usize,
    issuer: usize,
    key: usize,
    validity: (usize, usize),
    claims: Claims,
}

/// What its extensions say.
#[derive(Clone, Default)]
struct Claims {
    extensions: Vec<Vec<u8>>,
    /// Nobody may trust it: an extension is critical and unknown, or one that matters stands twice.
    is_odd: bool,
    /// The last number in the OID of each extension that may say more than the fields below. Its fields are
    /// ignored.
    unclear: Vec<u8>,
    ca: bool,
    path_length: Option<u8>,
    /// From the key usage: keyCertSign.
    usage: Option<bool>,
    /// From the extended key usage: servers, and OCSP responses.
    purposes: Option<(bool, bool)>,
    /// Indices of [`DOMAINS`].
    domains: Vec<usize>,
    permitted: Vec<usize>,
    excluded: Vec<usize>,
    seen: Vec<u8>,
}

const KEY_USAGE: u8 = 15;
const BASIC_CONSTRAINTS: u8 = 19;
const NAME_CONSTRAINTS: u8 = 30;
const EXTENDED_KEY_USAGE: u8 = 37;

/// The two roots: one that may do everything, and one with constraints.
pub struct Roots(pub Vec<Member>);

impl Roots {
    pub fn new(keys: &Keys) -> Self {
        let mut narrow = Claims::authority(Some(0));
        narrow.constrain(vec![0], vec![1]);
        let root = |claims, name: usize| {
            Member::made((name, name), (HOME[name], HOME[name]), (0, 5), claims, keys)
        };
        Self(vec![root(Claims::authority(None), 4), root(narrow, 5)])
    }
}

impl Member {
    fn made(
        (subject, issuer): (usize, usize),
        (key, signer): (usize, usize),
        validity: (usize, usize),
        claims: Claims,
        keys: &Keys,
    ) -> Self {
        let made = Self { der: vec![], serial: vec![1], subject, issuer, key, validity, claims };
        made.with_serial(vec![1], keys, signer)
    }

    fn with_serial(mut self, serial: Vec<u8>, keys: &Keys, signer: usize) -> Self {
        let fields = Fields {
            serial: &serial,
            issuer: &name(NAMES[self.issuer]),
            subject: &name(NAMES[self.subject]),
            not_before: MOMENTS[self.validity.0].0,
            not_after: MOMENTS[self.validity.1].0,
            key: keys.of(self.key),
            extensions: &self.claims.extensions,
        };
        self.der = fields.signed_by(keys.of(signer));
        self.serial = serial;
        self
    }

    /// The name of the issuer, with its header.
    pub fn issuer(&self) -> Vec<u8> {
        name(NAMES[self.issuer])
    }

    /// The name of the subject, with its header.
    pub fn subject(&self) -> Vec<u8> {
        name(NAMES[self.subject])
    }

    pub fn key<'k>(&self, keys: &'k Keys) -> &'k Key {
        keys.of(self.key)
    }

    pub fn names_as_issuer(&self, other: &Self) -> bool {
        // Names are compared without regard to case.
        NAMES[self.issuer].eq_ignore_ascii_case(NAMES[other.subject])
    }

    pub fn may_answer(&self, now: usize) -> bool {
        let is_meant = self.claims.purposes.is_some_and(|(_, ocsp)| ocsp);
        (self.claims.is_unclear(EXTENDED_KEY_USAGE) || is_meant) && self.is_valid(now)
    }

    fn is_self_issued(&self) -> bool {
        NAMES[self.issuer].eq_ignore_ascii_case(NAMES[self.subject])
    }

    fn is_valid(&self, now: usize) -> bool {
        (self.validity.0..=self.validity.1).contains(&now)
    }

    fn serves(&self) -> bool {
        let is_meant = self.claims.purposes.is_none_or(|(servers, _)| servers);
        self.claims.is_unclear(EXTENDED_KEY_USAGE) || is_meant
    }

    fn may_sign(&self) -> bool {
        let Claims { ca, usage, .. } = self.claims;
        (ca || self.claims.is_unclear(BASIC_CONSTRAINTS))
            && (usage.unwrap_or(true) || self.claims.is_unclear(KEY_USAGE))
    }

    /// Whether its path length allows so many authorities below it.
    fn is_above(&self, authorities: usize) -> bool {
        let limit = self.claims.path_length;
        self.claims.is_unclear(BASIC_CONSTRAINTS)
            || limit.is_none_or(|limit| authorities <= usize::from(limit))
    }

    fn permits(&self, domain: &str) -> bool {
        if self.claims.is_unclear(NAME_CONSTRAINTS) {
            return true;
        }
        let is_below = |&base: &usize| {
            let base = DOMAINS[base];
            domain.strip_suffix(base).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
        };
        (self.claims.permitted.is_empty() || self.claims.permitted.iter().any(is_below))
            && !self.claims.excluded.iter().any(is_below)
    }
}

impl Claims {
    fn authority(path_length: Option<u8>) -> Self {
        let mut claims = Self::default();
        claims.basic(true, path_length);
        claims
    }

    fn is_unclear(&self, number: u8) -> bool {
        self.unclear.contains(&number)
    }

    fn add(&mut self, number: u8, extension: Vec<u8>) {
        let matters =
            [17, BASIC_CONSTRAINTS, NAME_CONSTRAINTS, EXTENDED_KEY_USAGE].contains(&number);
        self.is_odd |= matters && self.seen.contains(&number);
        self.seen.push(number);
        self.extensions.push(extension);
    }

    fn basic(&mut self, ca: bool, path_length: Option<u8>) {
        let flag: &[u8] = if ca { &[tag::BOOLEAN, 1, 0xff] } else { &[] };
        let length = path_length.map(|length| vec![tag::INTEGER, 1, length]).unwrap_or_default();
        self.add(19, extension(19, true, &element(tag::SEQUENCE, &[flag, &length])));
        (self.ca, self.path_length) = (ca, path_length);
    }

    fn constrain(&mut self, permitted: Vec<usize>, excluded: Vec<usize>) {
        let bases = |bases: &[usize]| bases.iter().map(|&base| dns(base)).collect::<Vec<_>>();
        self.add(30, name_constraints(&bases(&permitted), &bases(&excluded)));
        (self.permitted, self.excluded) = (permitted, excluded);
    }

    /// One more extension.
    fn extend(&mut self, script: &mut Script<'_>, room: usize) {
        match script.byte() % 16 {
            0..3 => {
                let ca = !matches!(script.byte() % 8, 0);
                let length = script.option(|script| script.byte() % 4);
                self.basic(ca, length);
            }
            3 => {
                let bits = script.byte();
                self.add(15, extension(15, true, &element(tag::BIT_STRING, &[&[0, bits]])));
                self.usage = Some(bits & 0x04 != 0);
            }
            4 => {
                let of = [[1].as_slice(), &[9], &[1, 9], &[2], &[]][script.below(5)];
                let id = |&last: &u8| element(tag::OID, &[&[0x2b, 6, 1, 5, 5, 7, 3, last]]);
                let list = of.iter().map(id).collect::<Vec<_>>().concat();
                self.add(37, extension(37, false, &element(tag::SEQUENCE, &[&list])));
                self.purposes = Some((of.contains(&1), of.contains(&9)));
            }
            5..8 => {
                self.domains = script.list(|script| script.below(DOMAINS.len()));
                let mut names = self.domains.iter().map(|&at| dns(at)).collect::<Vec<_>>();
                let other = general_name(script);
                names.extend(vec![other.clone(); count(script, room / other.len())]);
                self.add(17, alternative_names(&names));
            }
            8 | 9 => {
                let mut list = || script.list(|script| script.below(DOMAINS.len()));
                let lists = (list(), list());
                self.constrain(lists.0, lists.1);
            }
            10 => {
                // Many, or of other types, which the fields below do not speak of.
                let base = general_name(script);
                let bases = vec![base.clone(); count(script, room / (base.len() + 4))];
                let (permitted, excluded) = match script.flag() {
                    true => (&bases[..], &[][..]),
                    false => (&[][..], &bases[..]),
                };
                self.add(30, name_constraints(permitted, excluded));
            }
            11 => {
                let policies = count(script, room / 12);
                let policy = |at: usize| {
                    let id = [0x2a, 0x80 | (at >> 7) as u8 & 0x7f, at as u8 & 0x7f];
                    element(tag::SEQUENCE, &[&element(tag::OID, &[&id])])
                };
                let list = (0x80..0x80 + policies).map(policy).collect::<Vec<_>>().concat();
                let is_critical = script.flag();
                self.add(32, extension(32, is_critical, &element(tag::SEQUENCE, &[&list])));
            }
            12 => {
                let id = 100 + script.byte() % 16;
                let is_critical = script.flag();
                self.is_odd |= is_critical;
                self.add(id, extension(id, is_critical, script.bytes()));
            }
            13 => {
                // A known one with any value.
                let id = [14, 15, 17, 19, 30, 31, 35, 36, 37, 54][script.below(10)];
                self.unclear.push(id);
                let is_critical = script.flag();
                self.add(id, extension(id, is_critical, script.bytes()));
            }
            14 => {
                let depth = count(script, room / 6);
                let inside =
                    (0..depth).fold(vec![], |inside, _| element(tag::context(0), &[&inside]));
                let id = [17, 31, 32][script.below(3)];
                self.unclear.push(id);
                self.add(id, extension(id, false, &element(tag::SEQUENCE, &[&inside])));
            }
            _ => {
                let many = count(script, room / 12);
                let first = script.byte();
                for at in 0..many {
                    let id = [0x2a, first | 0x80, (at >> 7) as u8 & 0x7f | 0x80, at as u8 & 0x7f];
                    let value = element(tag::OCTET_STRING, &[]);
                    let id = element(tag::OID, &[&id]);
                    self.extensions.push(element(tag::SEQUENCE, &[&id, &value]));
                }
            }
        }
    }
}

fn dns(domain: usize) -> Vec<u8> {
    element(0x82, &[DOMAINS[domain].as_bytes()])
}

/// A name, or a base of constraints, of any type.
fn general_name(script: &mut Script<'_>) -> Vec<u8> {
    let text = |script: &mut Script<'_>| match script.byte() % 4 {
        0 => b"z".to_vec(),
        1 => b"a.".repeat(count(script, 2_000)),
        2 => vec![b'a'; count(script, 4_000)],
        _ => script.bytes().to_vec(),
    };
    match script.byte() % 8 {
        0..3 => element(0x82, &[&text(script)]),
        3 => element(0x81, &[b"a@", &text(script)]),
        4 => {
            let part = name(&text(script));
            let parts = vec![&part[2..]; 1 + count(script, 40)].concat();
            element(0xa4, &[&element(tag::SEQUENCE, &[&parts])])
        }
        5 => element(0x86, &[b"https://", &text(script)]),
        6 => element(0x87, &[&[10; 32][..[4, 8, 16, 32, 5][script.below(5)]]]),
        _ => element(script.byte(), &[&text(script)]),
    }
}

/// A few, or up to thousands.
fn count(script: &mut Script<'_>, most: usize) -> usize {
    let count = match script.byte() {
        few @ 0..0xe0 => usize::from(few % 4),
        many => 8 << (many % 13),
    };
    count.min(most)
}

/// The chain that the script describes.
pub fn chain(script: &mut Script<'_>, keys: &Keys) -> Vec<Member> {
    let mut chain = Vec::<Member>::new();
    let mut room = CHAIN_LIMIT;
    let steps = 1 + script.byte() % 24;
    for _ in 0..steps {
        let made = match (script.byte() % 16, chain.is_empty()) {
            (0, false) => vec![chain[script.below(chain.len())].clone()],
            (1, false) => {
                // A forgery: what it says is not what was signed.
                let mut forged = chain[script.below(chain.len())].clone();
                script.mutate(&mut forged.der);
                vec![forged]
            }
            (2, false) => {
                // Another signature of the same length.
                let mut forged = member(script, keys, chain.len(), room);
                let other = &chain[script.below(chain.len())].der;
                let length = 64.min(other.len()).min(forged.der.len());
                let at = forged.der.len() - length;
                forged.der[at..].copy_from_slice(&other[other.len() - length..]);
                vec![forged]
            }
            (3, _) => {
                let like = member(script, keys, chain.len(), room);
                let signer = script.below(KEYS);
                let many = count(script, 300.min(room / like.der.len()));
                let step = script.below(3);
                (0..many)
                    .map(|at| {
                        let serial = vec![1, (at >> 8) as u8, at as u8];
                        let key = like.key + at * step;
                        Member { key, ..like.clone() }.with_serial(serial, keys, signer)
                    })
                    .collect()
            }
            _ => vec![member(script, keys, chain.len(), room)],
        };
        for member in made {
            let Some(rest) = room.checked_sub(member.der.len() + 3) else { return chain };
            room = rest;
            chain.push(member);
        }
    }
    chain
}

/// One certificate; at its place in an orderly chain unless the script says otherwise.
pub fn member(script: &mut Script<'_>, keys: &Keys, place: usize, room: usize) -> Member {
    let kind = script.byte();
    let orderly = place.min(3);
    let subject = if kind & 1 == 0 { orderly } else { script.below(NAMES.len()) };
    let issuer = if kind & 2 == 0 { orderly + 1 } else { script.below(NAMES.len()) };
    let mut key_of = |bit: u8, name: usize| match kind & bit {
        0 => HOME[name],
        _ => script.below(KEYS),
    };
    let (key, signer) = (key_of(4, subject), key_of(8, issuer));
    let validity = match kind & 0x70 {
        0x10 => (script.below(MOMENTS.len()), script.below(MOMENTS.len())),
        _ => (2, 4),
    };
    let mut claims = match (kind & 0x80 == 0, place) {
        (true, 0) => {
            let mut claims = Claims { domains: vec![0], ..Claims::default() };
            claims.add(17, alternative_names(&[dns(0)]));
            claims
        }
        (true, _) => Claims::authority(None),
        (false, _) => Claims::default(),
    };
    for _ in 0..script.byte() % 5 {
        claims.extend(script, room / 2);
    }
    Member::made((subject, issuer), (key, signer), validity, claims, keys)
}

/// The ways from the leaf to a root.
pub struct Paths<'a> {
    pub chain: &'a [Member],
    pub roots: &'a [Member],
    pub keys: &'a Keys,
    /// Index of [`MOMENTS`].
    pub now: usize,
    signed: RefCell<HashMap<(usize, usize), bool>>,
    steps: Cell<usize>,
}

/// The search for a path is given up after this many steps.
const STEPS: usize = 20_000;

impl<'a> Paths<'a> {
    pub fn new(chain: &'a [Member], roots: &'a [Member], keys: &'a Keys, now: usize) -> Self {
        Self { chain, roots, keys, now, signed: RefCell::default(), steps: Cell::new(0) }
    }

    /// Whether a path exists that obeys every rule that the fields speak of. `None` when there are too
    /// many to try.
    pub fn has_one(&self) -> Option<bool> {
        let leaf = self.chain.first()?;
        let is_good = leaf.serves() && leaf.is_valid(self.now) && !leaf.claims.is_odd;
        let found = is_good && self.leads_up(&mut vec![0]);
        if !found && self.steps.get() >= STEPS { None } else { Some(found) }
    }

    /// Whether the member at this place of the chain was signed by that key.
    pub fn is_signed(&self, place: usize, key: usize) -> bool {
        let check = || holds(&self.chain[place].der, self.keys.of(key));
        *self.signed.borrow_mut().entry((place, key)).or_insert_with(check)
    }

    fn leads_up(&self, path: &mut Vec<usize>) -> bool {
        self.steps.set(self.steps.get() + 1);
        let Some(&top) = path.last().filter(|_| path.len() < 9 && self.steps.get() < STEPS) else {
            return false;
        };
        let rooted = |root: &Member| {
            self.chain[top].names_as_issuer(root)
                && self.allows(root, path)
                && self.is_signed(top, root.key)
        };
        if self.roots.iter().any(rooted) {
            return true;
        }
        let mut tried = Vec::<&Member>::new();
        for place in 1..self.chain.len() {
            let member = &self.chain[place];
            let fits = !path.contains(&place)
                && self.chain[top].names_as_issuer(member)
                && member.is_valid(self.now)
                && member.serves()
                && !member.claims.is_odd
                && self.allows(member, path)
                && self.is_signed(top, member.key)
                // Of duplicates, one is enough.
                && !tried.iter().any(|other| other.der == member.der);
            if fits {
                tried.push(member);
                path.push(place);
                if self.leads_up(path) {
                    return true;
                }
                path.pop();
            }
        }
        false
    }

    /// Whether an authority may stand above this path.
    fn allows(&self, authority: &Member, path: &[usize]) -> bool {
        let mut authorities = path[1..].iter().map(|&place| &self.chain[place]);
        let below = authorities.clone().filter(|member| !member.is_self_issued()).count();
        let leaf = &self.chain[path[0]];
        let permits = |member: &Member| {
            member.claims.domains.iter().all(|&domain| authority.permits(DOMAINS[domain]))
        };
        authority.may_sign()
            && authority.is_above(below)
            && permits(leaf)
            && authorities.all(|member| member.is_self_issued() || permits(member))
    }
}
