//! Fields picked out of a record while it is serialised.
//!
//! Making a tree of values of the whole record, and then looking in it for the fields, takes five to
//! ten times as long.

use std::fmt::Display;

use serde::ser::{Error as _, Impossible, Serialize, SerializeStruct, Serializer};
use serde_json::Error;

/// Fields by the objects that they are in.
#[derive(Debug, Default)]
pub(super) struct Tree(Vec<(String, Node)>);

#[derive(Debug)]
enum Node {
    /// A field that was asked for: at these places of the list.
    Leaf(Vec<usize>),
    Object(Tree),
}

impl Tree {
    /// The fields of these dotted names.
    pub(super) fn new(names: &[String]) -> Self {
        let mut tree = Self::default();
        for (place, name) in names.iter().enumerate() {
            tree.insert(name, place);
        }
        tree
    }

    fn insert(&mut self, name: &str, place: usize) {
        let (first, rest) = match name.split_once('.') {
            Some((first, rest)) => (first, Some(rest)),
            None => (name, None),
        };
        let found = self.0.iter().position(|(known, _)| known == first);
        let index = found.unwrap_or_else(|| {
            let node = rest.map_or(Node::Leaf(Vec::new()), |_| Node::Object(Self::default()));
            self.0.push((first.to_owned(), node));
            self.0.len() - 1
        });
        match (self.0.get_mut(index), rest) {
            (Some((_, Node::Object(inner))), Some(rest)) => inner.insert(rest, place),
            (Some((_, Node::Leaf(places))), None) => places.push(place),
            // A field is an object or it is not.
            _ => {}
        }
    }

    /// The field or object of this name, and its place. Fields come in the order of the record, and most
    /// trees are in that order too, so the search begins at `expected` and goes round.
    fn find(&self, name: &str, expected: usize) -> Option<(usize, &Node)> {
        let nodes = self.0.iter().enumerate();
        let (from, before) = (nodes.clone().skip(expected), nodes.take(expected));
        let mut nodes = from.chain(before);
        nodes.find(|(_, (known, _))| known == name).map(|(place, (_, node))| (place, node))
    }
}

/// Takes the fields as they come, in the order of the record.
pub(super) trait Taker {
    /// Takes the value of a field.
    fn leaf(
        &mut self,
        name: &str,
        places: &[usize],
        value: &(impl Serialize + ?Sized),
    ) -> Result<(), Error>;

    /// Called before the fields of the object `name`.
    fn enter(&mut self, _name: &str) {}

    /// Called after the last field of the innermost object.
    fn leave(&mut self) {}
}

/// Gives `taker` the fields of `record` that `tree` holds.
pub(super) fn pick(
    record: &impl Serialize,
    tree: &Tree,
    taker: &mut impl Taker,
) -> Result<(), Error> {
    record.serialize(Picker::new(tree, taker))
}

struct Picker<'a, T> {
    tree: &'a Tree,
    taker: &'a mut T,
    /// Where in the tree the next field probably is.
    expected: usize,
}

impl<'a, T> Picker<'a, T> {
    fn new(tree: &'a Tree, taker: &'a mut T) -> Self {
        Self { tree, taker, expected: 0 }
    }
}

impl<T: Taker> SerializeStruct for Picker<'_, T> {
    type Ok = ();
    type Error = Error;

    fn serialize_field<V: Serialize + ?Sized>(
        &mut self,
        name: &'static str,
        value: &V,
    ) -> Result<(), Error> {
        let Some((place, node)) = self.tree.find(name, self.expected) else { return Ok(()) };
        self.expected = place + 1;
        match node {
            Node::Leaf(places) => self.taker.leaf(name, places, value),
            Node::Object(tree) => {
                self.taker.enter(name);
                value.serialize(Picker::new(tree, self.taker))?;
                self.taker.leave();
                Ok(())
            }
        }
    }

    fn end(self) -> Result<(), Error> {
        Ok(())
    }
}

/// The error for a field that is an object in the schema, but not in the record.
fn not_an_object() -> Error {
    Error::custom("a field of the record is not the object that its schema says it is")
}

/// Refuses values that are not objects: no field can be picked from them.
macro_rules! refuse {
    ($($method:ident $of:ty),* $(,)?) => {
        $(fn $method(self, _: $of) -> Result<(), Error> {
            Err(not_an_object())
        })*
    };
}

impl<'a, T: Taker> Serializer for Picker<'a, T> {
    type Ok = ();
    type Error = Error;
    type SerializeSeq = Impossible<(), Error>;
    type SerializeTuple = Impossible<(), Error>;
    type SerializeTupleStruct = Impossible<(), Error>;
    type SerializeTupleVariant = Impossible<(), Error>;
    type SerializeMap = Impossible<(), Error>;
    type SerializeStruct = Self;
    type SerializeStructVariant = Impossible<(), Error>;

    fn serialize_struct(self, _: &'static str, _: usize) -> Result<Self, Error> {
        Ok(self)
    }

    fn serialize_some<V: Serialize + ?Sized>(self, value: &V) -> Result<(), Error> {
        value.serialize(self)
    }

    fn serialize_newtype_struct<V: Serialize + ?Sized>(
        self,
        _: &'static str,
        value: &V,
    ) -> Result<(), Error> {
        value.serialize(self)
    }

    refuse! {
        serialize_bool bool, serialize_i8 i8, serialize_i16 i16, serialize_i32 i32,
        serialize_i64 i64, serialize_u8 u8, serialize_u16 u16, serialize_u32 u32,
        serialize_u64 u64, serialize_f32 f32, serialize_f64 f64, serialize_char char,
        serialize_str &str, serialize_bytes &[u8], serialize_unit_struct &'static str,
    }

    fn serialize_none(self) -> Result<(), Error> {
        Ok(())
    }

    fn serialize_unit(self) -> Result<(), Error> {
        Ok(())
    }

    fn serialize_unit_variant(self, _: &'static str, _: u32, _: &'static str) -> Result<(), Error> {
        Err(not_an_object())
    }

    fn serialize_newtype_variant<V: Serialize + ?Sized>(
        self,
        _: &'static str,
        _: u32,
        _: &'static str,
        _: &V,
    ) -> Result<(), Error> {
        Err(not_an_object())
    }

    fn serialize_seq(self, _: Option<usize>) -> Result<Self::SerializeSeq, Error> {
        Err(not_an_object())
    }

    fn serialize_tuple(self, _: usize) -> Result<Self::SerializeTuple, Error> {
        Err(not_an_object())
    }

    fn serialize_tuple_struct(
        self,
        _: &'static str,
        _: usize,
    ) -> Result<Self::SerializeTupleStruct, Error> {
        Err(not_an_object())
    }

    fn serialize_tuple_variant(
        self,
        _: &'static str,
        _: u32,
        _: &'static str,
        _: usize,
    ) -> Result<Self::SerializeTupleVariant, Error> {
        Err(not_an_object())
    }

    fn serialize_map(self, _: Option<usize>) -> Result<Self::SerializeMap, Error> {
        Err(not_an_object())
    }

    fn serialize_struct_variant(
        self,
        _: &'static str,
        _: u32,
        _: &'static str,
        _: usize,
    ) -> Result<Self::SerializeStructVariant, Error> {
        Err(not_an_object())
    }

    fn collect_str<V: Display + ?Sized>(self, _: &V) -> Result<(), Error> {
        Err(not_an_object())
    }
}
