//! The fields of fixed width, the strings, the bytes and the arrays.

use super::reader::{ALLOCATION_FACTOR, STRING_BYTES_MAX};
use super::{DecodeError, EncodeError, Field, Form, Reader, Str, Writer};
use bytes::Bytes;
use systole_kit::Uuid;

macro_rules! fixed_width {
    ($($number:ty),*) => {$(
        impl Field for $number {
            const SIZE_MIN: usize = size_of::<Self>();
            fn read(from: &mut Reader, _: Form) -> Result<Self, DecodeError> {
                from.array().map(Self::from_be_bytes)
            }
            fn write(&self, to: &mut Writer, _: Form) -> Result<(), EncodeError> {
                to.put_slice(&self.to_be_bytes());
                Ok(())
            }
        }
    )*};
}
fixed_width!(i8, i16, u16, i32, u32, i64, f64);

/// Any byte but zero is true, as Kafka reads it.
impl Field for bool {
    const SIZE_MIN: usize = 1;
    fn read(from: &mut Reader, form: Form) -> Result<Self, DecodeError> {
        i8::read(from, form).map(|it| it != 0)
    }
    fn write(&self, to: &mut Writer, form: Form) -> Result<(), EncodeError> {
        i8::from(*self).write(to, form)
    }
}

impl Field for Uuid {
    const SIZE_MIN: usize = 16;
    fn read(from: &mut Reader, _: Form) -> Result<Self, DecodeError> {
        from.array().map(Self::from_bytes)
    }
    fn write(&self, to: &mut Writer, _: Form) -> Result<(), EncodeError> {
        to.put_slice(self.as_bytes());
        Ok(())
    }
}

impl Field for Str {
    const SIZE_MIN: usize = 1;
    fn read(from: &mut Reader, form: Form) -> Result<Self, DecodeError> {
        let value = Self::read_nullable(from, form)?;
        from.not_null(value)
    }
    fn write(&self, to: &mut Writer, form: Form) -> Result<(), EncodeError> {
        Self::write_nullable(Some(self), to, form)
    }
    fn read_nullable(from: &mut Reader, form: Form) -> Result<Option<Self>, DecodeError> {
        let length = from.length(form, |it| it.field::<i16>(form).map(i32::from))?;
        length.map(|it| from.string(it)).transpose()
    }
    fn write_nullable(it: Option<&Self>, to: &mut Writer, form: Form) -> Result<(), EncodeError> {
        let length = it.map(|it| narrow::<i16>(it.len(), STRING_BYTES_MAX)).transpose()?;
        to.length(it.map(|it| it.len()), form, |to, _| length.unwrap_or(-1).write(to, form))?;
        to.put_bytes(it.map_or(&Bytes::new(), Str::as_bytes));
        Ok(())
    }
}

impl Field for Bytes {
    const SIZE_MIN: usize = 1;
    fn read(from: &mut Reader, form: Form) -> Result<Self, DecodeError> {
        let value = Self::read_nullable(from, form)?;
        from.not_null(value)
    }
    fn write(&self, to: &mut Writer, form: Form) -> Result<(), EncodeError> {
        Self::write_nullable(Some(self), to, form)
    }
    fn read_nullable(from: &mut Reader, form: Form) -> Result<Option<Self>, DecodeError> {
        let length = from.length(form, |it| it.field(form))?;
        length.map(|it| from.bytes(it)).transpose()
    }
    fn write_nullable(it: Option<&Self>, to: &mut Writer, form: Form) -> Result<(), EncodeError> {
        to.length(it.map(Self::len), form, |to, length| write_i32_length(length, to, form))?;
        to.put_bytes(it.unwrap_or(&Self::new()));
        Ok(())
    }
}

impl<T: Field> Field for Vec<T> {
    const SIZE_MIN: usize = 1;
    fn read(from: &mut Reader, form: Form) -> Result<Self, DecodeError> {
        let value = Self::read_nullable(from, form)?;
        from.not_null(value)
    }
    fn write(&self, to: &mut Writer, form: Form) -> Result<(), EncodeError> {
        Self::write_nullable(Some(self), to, form)
    }
    fn read_nullable(from: &mut Reader, form: Form) -> Result<Option<Self>, DecodeError> {
        // No valid array meets the budget: its elements pay for themselves.
        const { assert!(size_of::<T>() <= ALLOCATION_FACTOR * T::SIZE_MIN) };
        let Some(count) = from.length(form, |it| it.field(form))? else {
            return Ok(None);
        };
        let mut elements = from.reserve(count, T::SIZE_MIN)?;
        for _ in 0..count {
            elements.push(T::read(from, form)?);
        }
        Ok(Some(elements))
    }
    fn write_nullable(it: Option<&Self>, to: &mut Writer, form: Form) -> Result<(), EncodeError> {
        to.length(it.map(Self::len), form, |to, length| write_i32_length(length, to, form))?;
        it.into_iter().flatten().try_for_each(|it| it.write(to, form))
    }
}

fn write_i32_length(length: Option<usize>, to: &mut Writer, form: Form) -> Result<(), EncodeError> {
    match length {
        None => (-1_i32).write(to, form),
        Some(length) => narrow::<i32>(length, i32::MAX.unsigned_abs() as usize)?.write(to, form),
    }
}

fn narrow<T: TryFrom<usize>>(length: usize, limit: usize) -> Result<T, EncodeError> {
    T::try_from(length).map_err(|_| EncodeError::TooLong { length, limit })
}
