//! Random chains: how each is made, and the making.

use rcgen::{
    BasicConstraints, CertificateParams, CidrSubnet, CustomExtension, DistinguishedName, DnType,
    ExtendedKeyUsagePurpose, GeneralSubtree, IsCa, KeyUsagePurpose, NameConstraints,
    SigningKey as _,
};
use rustls_pki_types::CertificateDer;

use super::flaws::{FLAWS, Flaw};
use crate::support::certs::{Entity, ca, element, server, valid};
use crate::support::odd::{KINDS, Kind, OddKeys};

type Der = CertificateDer<'static>;

/// Makes the certificate of a root otherwise than usual.
type RootChange = fn(&mut CertificateParams);

/// The roots that a client may trust: the true one in several shapes, all with its name and key, a
/// namesake with another key, and a stranger.
const SHAPES: [(&str, RootChange); 7] = [
    ("as usual", |_| {}),
    ("ended", |root| *root = valid(root.clone(), 2000, 2020)),
    ("not yet valid", |root| *root = valid(root.clone(), 2100, 2110)),
    ("path length 0", |root| root.is_ca = IsCa::Ca(BasicConstraints::Constrained(0))),
    ("no keyCertSign", |root| root.key_usages = vec![KeyUsagePurpose::DigitalSignature]),
    ("no key usage", |root| root.key_usages.clear()),
    ("no CA", |root| root.is_ca = IsCa::ExplicitNoCa),
];

/// All that chains are made from.
pub(super) struct World {
    root: Entity,
    /// In the order of `SHAPES`, then the namesake and the stranger.
    trusted: Vec<Der>,
    stranger: Entity,
    odd: OddKeys,
}

impl World {
    pub(super) fn new() -> Self {
        let root = Entity::root("root");
        let mut trusted = SHAPES
            .iter()
            .map(|(_, change)| {
                let mut params = root.params.clone();
                change(&mut params);
                params.self_signed(&root.key).unwrap().der().clone()
            })
            .collect::<Vec<_>>();
        let stranger = Entity::root("stranger");
        trusted.extend([Entity::root("root").der, stranger.der.clone()]);
        Self { root, trusted, stranger, odd: OddKeys::make() }
    }
}

/// Places of fields in a certificate.
const ALGORITHM: usize = 2;
const KEY: usize = 6;

/// How a chain is made.
#[derive(Debug)]
pub(super) struct Plan {
    /// The roots that are trusted, as places in `World::trusted`.
    pub(super) roots: Vec<usize>,
    /// From the root down.
    pub(super) cas: Vec<Member>,
    /// The key of the last CA, when it is an odd one.
    pub(super) odd: Option<&'static Kind>,
    pub(super) leaf: Member,
    /// What is malformed or unusual, and in which CA; in the leaf without a CA.
    pub(super) flaw: Option<(&'static Flaw, Option<usize>)>,
    /// The CAs that are sent, in this order.
    sent: Vec<usize>,
    /// The first CA is signed by the stranger as well, and that certificate is sent too.
    pub(super) crossed: bool,
    /// Certificates that have nothing to do with it.
    strangers: usize,
    sends_root: bool,
}

#[derive(Debug)]
pub(super) struct Member {
    validity: (i32, i32),
    pub(super) is_ca: bool,
    path_length: Option<u8>,
    pub(super) usage: Vec<KeyUsagePurpose>,
    purposes: Vec<ExtendedKeyUsagePurpose>,
    constraints: Option<Constraint>,
    names: &'static [&'static str],
    country: Option<&'static str>,
    policies: Option<Policies>,
}

#[derive(Clone, Copy, Debug)]
enum Constraint {
    PermitsDns(&'static str),
    ExcludesDns(&'static str),
    PermitsCountry(&'static str),
    ExcludesCountry(&'static str),
    PermitsEmail,
    PermitsAddress([u8; 4]),
    ExcludesAddress([u8; 4]),
}

/// Extensions about policies.
#[derive(Clone, Copy, Debug)]
enum Policies {
    Listed { critical: bool },
    Constrained,
    Inhibited,
}

impl Plan {
    pub(super) fn new(random: &mut Random) -> Self {
        // Half of the chains have few faults, so that many have one or none.
        let rarity = [1, 5][random.below(2)];
        let mut cas = (0..random.below(4)).map(|_| Member::ca(random, rarity)).collect::<Vec<_>>();
        let odd = (random.below(8) == 0).then(|| &KINDS[random.below(KINDS.len())]);
        if odd.is_some() {
            cas.push(Member::ca(random, rarity));
        }
        let flaw = (random.below(8 * rarity) == 0).then(|| {
            let place = random.below(cas.len() + 1);
            (&FLAWS[random.below(FLAWS.len())], (place < cas.len()).then_some(place))
        });
        let mut sent = (0..cas.len()).rev().collect::<Vec<_>>();
        match random.below(8 * rarity) {
            0 => drop(sent.pop()),
            1 => drop(sent.drain(..sent.len().min(1))),
            2 | 3 => random.shuffle(&mut sent),
            4 => sent.extend(sent.clone()),
            _ => {}
        }
        let stranger = SHAPES.len() + 1;
        let roots = match random.below(8 * rarity) {
            0 => vec![stranger],
            1 => vec![random.below(SHAPES.len())],
            2 => vec![random.below(SHAPES.len()), random.below(SHAPES.len())],
            3 => vec![SHAPES.len(), 0],
            4 => vec![0, random.below(stranger), stranger],
            _ => vec![0],
        };
        Self {
            roots,
            crossed: !cas.is_empty() && random.below(6) == 0,
            leaf: Member::leaf(random, rarity),
            cas,
            odd,
            flaw,
            sent,
            strangers: [0, 0, 0, 1, 3][random.below(5)],
            sends_root: random.below(4) == 0,
        }
    }

    /// The chain, leaf first, and the roots.
    pub(super) fn carry_out(&self, world: &World, random: &mut Random) -> (Vec<Der>, Vec<Der>) {
        let mut issued = Vec::<Entity>::new();
        for (number, member) in self.cas.iter().enumerate() {
            let issuer = issued.last().unwrap_or(&world.root);
            let mut made = issuer.issue(member.params(ca(&format!("CA {number}"))));
            made.der = made.altered(issuer, |fields| {
                if let Some(kind) = self.odd.filter(|_| number + 1 == self.cas.len()) {
                    fields[KEY] = world.odd.public(kind);
                }
                self.spoil(Some(number), fields);
            });
            issued.push(made);
        }
        let issuer = issued.last().unwrap_or(&world.root);
        let leaf = issuer.issue(self.leaf.params(server(self.leaf.names)));
        let leaf = leaf.altered_and_signed(
            |fields| {
                if let Some(kind) = self.odd {
                    fields[ALGORITHM] = world.odd.algorithm(kind);
                }
                self.spoil(None, fields);
            },
            |part| match self.odd {
                Some(kind) => world.odd.sign(kind, part),
                None => issuer.key.sign(part).unwrap(),
            },
        );
        let mut others =
            self.sent.iter().map(|&number| issued[number].der.clone()).collect::<Vec<_>>();
        if self.crossed && (self.odd.is_none() || self.cas.len() > 1) {
            others.push(issued[0].cross_signed_by(&world.stranger));
        }
        others.extend((0..self.strangers).map(|_| Entity::root("nobody").der));
        if self.sends_root {
            others.push(world.root.der.clone());
        }
        if self.strangers > 1 {
            random.shuffle(&mut others);
        }
        let roots = self.roots.iter().map(|&place| world.trusted[place].clone());
        (std::iter::once(leaf).chain(others).collect(), roots.collect())
    }

    /// Spoils the certificate that the flaw is for.
    fn spoil(&self, place: Option<usize>, fields: &mut Vec<Vec<u8>>) {
        if let Some((flaw, _)) = self.flaw.filter(|(_, flawed)| *flawed == place) {
            (flaw.surgery)(fields);
        }
    }

    /// Whether the client trusts several roots of the true one's name.
    pub(super) fn has_namesakes(&self) -> bool {
        self.roots.iter().filter(|&&place| place <= SHAPES.len()).count() > 1
    }
}

impl Member {
    fn ca(random: &mut Random, rarity: usize) -> Self {
        use KeyUsagePurpose::{CrlSign, DigitalSignature, KeyCertSign};
        Self {
            validity: Self::validity(random, rarity),
            is_ca: random.below(16 * rarity) != 0,
            path_length: match random.below(7 * rarity) {
                length @ 0..3 => Some(length as u8),
                _ => None,
            },
            usage: match random.below(16 * rarity) {
                0 => vec![DigitalSignature],
                1 => vec![CrlSign],
                2..4 => vec![],
                _ => vec![KeyCertSign, CrlSign],
            },
            purposes: Self::purposes(random, rarity),
            constraints: match random.below(20 * rarity) {
                0 => Some(Constraint::PermitsDns("example.org")),
                1 | 2 => Some(Constraint::PermitsDns("example.com")),
                3 => Some(Constraint::ExcludesDns("example.org")),
                4 => Some(Constraint::PermitsCountry("DE")),
                5 => Some(Constraint::ExcludesCountry("FR")),
                6 => Some(Constraint::PermitsEmail),
                7 => Some(Constraint::PermitsAddress([192, 0, 0, 0])),
                8 => Some(Constraint::PermitsAddress([10, 0, 0, 0])),
                9 => Some(Constraint::ExcludesAddress([192, 0, 0, 0])),
                _ => None,
            },
            names: &[],
            country: [None, Some("DE")][random.below(2)],
            policies: Self::policies(random),
        }
    }

    fn leaf(random: &mut Random, rarity: usize) -> Self {
        use KeyUsagePurpose::{CrlSign, DigitalSignature, KeyCertSign, KeyEncipherment};
        let names: [&[&str]; 8] = [
            &["example.com"],
            &["example.com"],
            &["www.example.com", "example.com"],
            &["*.com", "example.com"],
            &["EXAMPLE.com"],
            &["example.com", "192.0.2.1"],
            &["example.com", "*.example.com"],
            &["example.org"],
        ];
        Self {
            validity: Self::validity(random, rarity),
            is_ca: random.below(16 * rarity) == 0,
            path_length: None,
            usage: match random.below(16 * rarity) {
                0 => vec![CrlSign],
                1 => vec![DigitalSignature, KeyCertSign],
                2 => vec![KeyEncipherment],
                3 => vec![DigitalSignature, KeyEncipherment],
                4..7 => vec![],
                _ => vec![DigitalSignature],
            },
            purposes: Self::purposes(random, rarity),
            constraints: None,
            names: names[random.below(8)],
            country: [None, Some("DE"), Some("de"), Some("FR")][random.below(4)],
            policies: Self::policies(random),
        }
    }

    fn validity(random: &mut Random, rarity: usize) -> (i32, i32) {
        match random.below(20 * rarity) {
            0 => (2020, 2024),
            1 => (2100, 2110),
            2 => (1955, 2090),
            _ => (2020, 2090),
        }
    }

    fn purposes(random: &mut Random, rarity: usize) -> Vec<ExtendedKeyUsagePurpose> {
        use ExtendedKeyUsagePurpose as Purpose;
        match random.below(16 * rarity) {
            0 => vec![Purpose::ClientAuth],
            1 => vec![Purpose::Any],
            2 | 3 => vec![Purpose::ClientAuth, Purpose::ServerAuth],
            4 | 5 => vec![Purpose::ServerAuth],
            _ => vec![],
        }
    }

    fn policies(random: &mut Random) -> Option<Policies> {
        match random.below(12) {
            0 => Some(Policies::Listed { critical: true }),
            1 => Some(Policies::Listed { critical: false }),
            2 => Some(Policies::Constrained),
            3 => Some(Policies::Inhibited),
            _ => None,
        }
    }

    fn params(&self, params: CertificateParams) -> CertificateParams {
        let mut params = valid(params, self.validity.0, self.validity.1);
        params.is_ca = match (self.is_ca, self.path_length) {
            (true, None) => IsCa::Ca(BasicConstraints::Unconstrained),
            (true, Some(length)) => IsCa::Ca(BasicConstraints::Constrained(length)),
            (false, _) => IsCa::ExplicitNoCa,
        };
        params.key_usages = self.usage.clone();
        params.extended_key_usages = self.purposes.clone();
        params.name_constraints = self.constraints.map(Constraint::written);
        if let Some(country) = self.country {
            params.distinguished_name.push(DnType::CountryName, country);
        }
        params.custom_extensions.extend(self.policies.map(Policies::written));
        params
    }
}

impl Constraint {
    fn written(self) -> NameConstraints {
        let country = |country: &str| {
            let mut name = DistinguishedName::new();
            name.push(DnType::CountryName, country);
            GeneralSubtree::DirectoryName(name)
        };
        let dns = |name: &str| GeneralSubtree::DnsName(name.to_owned());
        let network = |of| GeneralSubtree::IpAddress(CidrSubnet::from_v4_prefix(of, 8));
        let (permitted, excluded) = match self {
            Self::PermitsDns(name) => (Some(dns(name)), None),
            Self::ExcludesDns(name) => (None, Some(dns(name))),
            Self::PermitsCountry(name) => (Some(country(name)), None),
            Self::ExcludesCountry(name) => (None, Some(country(name))),
            Self::PermitsEmail => {
                (Some(GeneralSubtree::Rfc822Name("example.com".to_owned())), None)
            }
            Self::PermitsAddress(of) => (Some(network(of)), None),
            Self::ExcludesAddress(of) => (None, Some(network(of))),
        };
        NameConstraints {
            permitted_subtrees: permitted.into_iter().collect(),
            excluded_subtrees: excluded.into_iter().collect(),
        }
    }
}

impl Policies {
    fn written(self) -> CustomExtension {
        let validated = element(6, &[vec![0x67, 0x81, 0x0c, 1, 2, 1]]);
        let (id, critical, value) = match self {
            Self::Listed { critical } => {
                (32, critical, element(0x30, &[element(0x30, &[validated])]))
            }
            Self::Constrained => (36, true, element(0x30, &[element(0x80, &[vec![0]])])),
            Self::Inhibited => (54, true, element(2, &[vec![0]])),
        };
        let mut extension = CustomExtension::from_oid_content(&[2, 5, 29, id], value);
        extension.set_criticality(critical);
        extension
    }
}

/// SplitMix64: a seed gives the same chains again.
pub(super) struct Random(pub(super) u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, limit: usize) -> usize {
        (self.next() % limit as u64) as usize
    }

    fn shuffle<T>(&mut self, items: &mut [T]) {
        for at in (1..items.len()).rev() {
            let other = self.below(at + 1);
            items.swap(at, other);
        }
    }
}
