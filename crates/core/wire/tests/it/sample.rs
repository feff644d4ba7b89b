//! Random valid bytes of a message, written from its table without any code of `systole-wire`.

use crate::table::{Field, Message, Type};

/// SplitMix64: a seed reproduces any failure.
pub(crate) struct Dice(pub(crate) u64);

impl Dice {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
    pub(crate) fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.next() % u64::try_from(end).unwrap()).unwrap()
    }
    fn one_in(&mut self, many: usize) -> bool {
        self.below(many) == 0
    }
    pub(crate) fn bytes(&mut self, length: usize) -> Vec<u8> {
        (0..length).map(|_| self.next().to_le_bytes()[0]).collect()
    }
}

/// What the sample is made of, beside the table.
#[derive(Clone, Copy)]
pub(crate) struct Taste {
    /// Adds tagged fields that no Kafka knows.
    pub(crate) unknown_tags: bool,
    /// Bytes of the longest string or byte field.
    pub(crate) length_max: usize,
}

/// Random valid bytes of `message` in `version`.
pub(crate) fn sample(message: &Message, version: i16, dice: &mut Dice, taste: Taste) -> Vec<u8> {
    let mut sample = Sample { message, version, dice, taste, depth: 0, to: Vec::new() };
    sample.fields(&message.fields);
    sample.to
}

struct Sample<'a> {
    message: &'a Message,
    version: i16,
    dice: &'a mut Dice,
    taste: Taste,
    depth: usize,
    to: Vec<u8>,
}

impl<'a> Sample<'a> {
    fn fields(&mut self, fields: &'a [Field]) {
        let version = self.version;
        let carried = |field: &&Field| field.versions.contains(version);
        for field in fields.iter().filter(carried).filter(|field| field.tag.is_none()) {
            self.field(field);
        }
        if !self.message.is_flexible(version) {
            return;
        }
        let mut tagged: Vec<(u32, Vec<u8>)> = Vec::new();
        for field in fields.iter().filter(carried).filter(|field| field.tag.is_some()) {
            let outer = std::mem::take(&mut self.to);
            self.field(field);
            let value = std::mem::replace(&mut self.to, outer);
            // A default is never written, so a sample holds none.
            if self.dice.one_in(2) && !is_default(field, &value) {
                tagged.push((field.tag.unwrap(), value));
            }
        }
        if self.taste.unknown_tags && self.dice.one_in(4) {
            for tag in [100, 5000] {
                let length = self.length();
                tagged.push((tag, self.dice.bytes(length)));
            }
        }
        tagged.sort_by_key(|(tag, _)| *tag);
        varint(tagged.len(), &mut self.to);
        for (tag, value) in tagged {
            varint(usize::try_from(tag).unwrap(), &mut self.to);
            varint(value.len(), &mut self.to);
            self.to.extend(value);
        }
    }

    fn length(&mut self) -> usize {
        self.dice.below(self.taste.length_max + 1)
    }

    fn field(&mut self, field: &'a Field) {
        let may_be_null = field.nullable.is_some_and(|it| it.contains(self.version));
        let is_null = may_be_null && self.dice.one_in(3);
        let compact = self.message.is_flexible(self.version) && !field.rigid;
        let count = match &field.ty {
            Type::Array(_) => self.dice.below(4_usize.saturating_sub(self.depth).max(2)),
            Type::String | Type::Bytes | Type::Records => self.length(),
            _ => 0,
        };
        let width = match &field.ty {
            _ if compact => 0,
            Type::String => 2,
            _ => 4,
        };
        match &field.ty {
            Type::Array(_) | Type::String | Type::Bytes | Type::Records => {
                prefix((!is_null).then_some(count), width, &mut self.to);
            }
            Type::Struct(_) if may_be_null => self.to.push(if is_null { 0xff } else { 1 }),
            _ => {}
        }
        match &field.ty {
            _ if is_null => {}
            Type::Array(element) => (0..count).for_each(|_| self.element(element, field)),
            Type::String => self.text(count),
            Type::Bytes | Type::Records => self.to.extend(self.dice.bytes(count)),
            other => self.value(other, field),
        }
    }

    fn element(&mut self, ty: &'a Type, field: &'a Field) {
        if *ty == Type::String {
            let length = self.length();
            let width = if self.message.is_flexible(self.version) { 0 } else { 2 };
            prefix(Some(length), width, &mut self.to);
            return self.text(length);
        }
        self.value(ty, field);
    }

    fn text(&mut self, length: usize) {
        let letters = self.dice.bytes(length);
        self.to.extend(letters.iter().map(|it| b'a' + it % 26));
    }

    /// A value without a length.
    fn value(&mut self, ty: &'a Type, field: &'a Field) {
        match ty {
            Type::Bool => self.to.push(u8::from(self.dice.one_in(2))),
            // Finite, because a NaN equals nothing.
            Type::Float64 => {
                let value = f64::from(u8::try_from(self.dice.below(200)).unwrap());
                self.to.extend(value.to_be_bytes());
            }
            Type::Struct(name) => {
                let shared = self.message.shared.iter().find(|it| it.name == *name);
                let fields = match shared {
                    Some(shared) => &shared.fields,
                    None => &field.fields,
                };
                self.depth += 1;
                self.fields(fields);
                self.depth -= 1;
            }
            number => self.to.extend(self.dice.bytes(width(number))),
        }
    }
}

fn width(ty: &Type) -> usize {
    match ty {
        Type::Int8 => 1,
        Type::Int16 | Type::Uint16 => 2,
        Type::Int32 | Type::Uint32 => 4,
        Type::Int64 => 8,
        Type::Uuid => 16,
        other => panic!("{other} has no width"),
    }
}

/// Whether the bytes of a tagged field are those of its default.
fn is_default(field: &Field, value: &[u8]) -> bool {
    match (&field.ty, field.default.as_deref()) {
        (Type::Struct(_), Some("null")) => value == [0xff],
        (Type::Struct(_), None) => false, // random numbers never are all -1
        (_, Some("null")) => value == [0],
        (Type::String | Type::Bytes | Type::Array(_), None) => value == [1],
        (Type::Int8 | Type::Int16 | Type::Int32 | Type::Int64, Some(default)) => {
            let number = default.parse::<i64>().unwrap().to_be_bytes();
            number.ends_with(value)
        }
        _ => value.iter().all(|it| *it == 0),
    }
}

fn prefix(length: Option<usize>, width: usize, to: &mut Vec<u8>) {
    if width == 0 {
        return varint(length.map_or(0, |it| it + 1), to);
    }
    let number = length.map_or(-1, |it| i64::try_from(it).unwrap()).to_be_bytes();
    to.extend(&number[8 - width..]);
}

fn varint(mut value: usize, to: &mut Vec<u8>) {
    while value >= 0x80 {
        to.push(u8::try_from(value & 0x7f).unwrap() | 0x80);
        value >>= 7;
    }
    to.push(u8::try_from(value).unwrap());
}
