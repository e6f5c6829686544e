//! The two shapes of AG-UI's schema as macros: `record!` for objects and `words!` for closed sets of strings. One
//! declaration gives the struct, how it is read (tolerantly), how it is written (strictly: the tag first, nothing
//! absent as null) and equality by JSON.

/// A struct of required and optional fields with their wire names. `as "key" = "word"` is a constant that is written
/// first and must be present when read; `base attributable: …` adds the fields of every event.
macro_rules! record {
    (
        $(#[$meta:meta])*
        $vis:vis struct $name:ident $(as $tag:literal = $word:literal)? $(, base attributable: $attributable:literal)? {
            $( $(#[$required_meta:meta])* $required:ident : $required_type:ty = $required_key:literal ),* $(,)?
        }
        $(optional {
            $( $(#[$optional_meta:meta])* $optional:ident : $optional_type:ty = $optional_key:literal ),* $(,)?
        })?
    ) => {
        $(#[$meta])*
        #[derive(Clone, Debug)]
        $vis struct $name {
            $( $(#[$required_meta])* #[doc = concat!("`", $required_key, "`")] pub $required: $required_type, )*
            $($( $(#[$optional_meta])* #[doc = concat!("`", $optional_key, "`")] pub $optional: Option<$optional_type>, )*)?
            $(
                #[doc = concat!("The fields of every event (attributable: ", $attributable, ").")]
                pub base: $crate::agui::event::Base,
            )?
        }

        const _: () = {
            use $crate::agui::read::{Incomplete, Read, Reader, Record, read_record};

            #[derive(Default)]
            pub(crate) struct Draft {
                $( #[doc = $tag] tagged: bool, )?
                $( $required: Option<$required_type>, )*
                $($( $optional: Option<$optional_type>, )*)?
                $( #[doc = concat!($attributable)] base: $crate::agui::event::Base, )?
            }

            impl Record for $name {
                type Draft = Draft;

                fn take<'de, A: serde::de::MapAccess<'de>>(
                    draft: &mut Draft,
                    key: &str,
                    map: &mut A,
                    reader: &mut Reader,
                ) -> Result<bool, A::Error> {
                    match key {
                        $( $tag => {
                            reader.tag(map, $tag, $word)?;
                            draft.tagged = true;
                        } )?
                        $( $required_key => draft.$required = Some(reader.field(map, $required_key)?), )*
                        $($( $optional_key => draft.$optional = reader.field(map, $optional_key)?, )*)?
                        $( _ if draft.base.take(key, map, reader, $attributable)? => {} )?
                        _ => return Ok(false),
                    }
                    Ok(true)
                }

                fn finish(draft: Draft) -> Result<Self, Incomplete> {
                    $( if !draft.tagged {
                        return Err(Incomplete::missing($tag));
                    } )?
                    Ok(Self {
                        $( $required: draft.$required.ok_or_else(|| Incomplete::missing($required_key))?, )*
                        $($( $optional: draft.$optional, )*)?
                        $( base: {
                            const _: bool = $attributable;
                            draft.base
                        }, )?
                    })
                }
            }

            impl Read for $name {
                fn read<'de, D: serde::Deserializer<'de>>(
                    deserializer: D,
                    reader: &mut Reader,
                ) -> Result<Self, D::Error> {
                    read_record(deserializer, reader)
                }
            }

            impl serde::Serialize for $name {
                fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                    use serde::ser::SerializeMap;
                    let mut map = serializer.serialize_map(None)?;
                    $( map.serialize_entry($tag, $word)?; )?
                    $(
                        const _: bool = $attributable;
                        self.base.write_time(&mut map)?;
                    )?
                    $( map.serialize_entry($required_key, &self.$required)?; )*
                    $($( if let Some(value) = &self.$optional {
                        map.serialize_entry($optional_key, value)?;
                    } )*)?
                    $(
                        const _: bool = $attributable;
                        self.base.write_rest(&mut map)?;
                    )?
                    map.end()
                }
            }

            impl PartialEq for $name {
                fn eq(&self, other: &Self) -> bool {
                    $crate::agui::json::same_json(self, other)
                }
            }
        };
    };
}

/// A closed set of strings.
macro_rules! words {
    (
        $(#[$meta:meta])*
        $vis:vis enum $name:ident { $( $(#[$word_meta:meta])* $variant:ident = $word:literal ),* $(,)? }
    ) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        $vis enum $name { $( $(#[$word_meta])* #[doc = concat!("`", $word, "`")] $variant, )* }

        impl $name {
            /// The word on the wire.
            pub fn as_str(self) -> &'static str {
                match self { $( Self::$variant => $word, )* }
            }

            /// The meaning of a word on the wire.
            pub fn parse(word: &str) -> Option<Self> {
                match word { $( $word => Some(Self::$variant), )* _ => None }
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                formatter.write_str(self.as_str())
            }
        }

        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(self.as_str())
            }
        }

        impl $crate::agui::read::Read for $name {
            fn read<'de, D: serde::Deserializer<'de>>(
                deserializer: D,
                _: &mut $crate::agui::read::Reader,
            ) -> Result<Self, D::Error> {
                use serde::de::{Deserialize, Error as _};
                let word = String::deserialize(deserializer)?;
                Self::parse(&word).ok_or_else(|| {
                    D::Error::custom(format_args!("{word:?} is not one of {:?}", [$($word),*]))
                })
            }
        }
    };
}

/// Serde's reading of schema types, for those who hold them in their own types. Works on JSON text only.
macro_rules! deserialize_as_read {
    ($($name:ty),* $(,)?) => {$(
        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                use $crate::agui::read::{Read, Reader, Unknown};
                <Self as Read>::read(deserializer, &mut Reader::new(Unknown::Dropped))
            }
        }
    )*};
}

pub(crate) use {deserialize_as_read, record, words};
