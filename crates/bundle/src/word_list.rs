//! Closed lists of words: reasons, codes and names that programs compare and documentation explains.

/// Makes an enum of words: each variant is one word, its own name unless `= "…"` says how it is written.
///
/// `ALL` lists the variants in the order of the declaration, `name` gives the word and `of_name` the variant. A word
/// compares with the text that an object holds (`condition.reason == ConditionReason::Minted`).
#[macro_export]
macro_rules! words {
    ($(#[$meta:meta])* $vis:vis enum $name:ident { $($(#[$of_variant:meta])* $variant:ident $(= $word:literal)?),+ $(,)? }) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        $vis enum $name {
            $($(#[$of_variant])* $variant),+
        }

        impl $name {
            /// Every one, in this order.
            pub const ALL: [Self; <[&str]>::len(&[$(stringify!($variant)),+])] = [$(Self::$variant),+];

            /// The word.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => $crate::words!(@word $variant $($word)?),)+
                }
            }

            /// The one that is written so.
            #[must_use]
            pub fn of_name(name: &str) -> Option<Self> {
                Self::ALL.into_iter().find(|word| word.name() == name)
            }
        }

        impl ::std::fmt::Display for $name {
            fn fmt(&self, formatter: &mut ::std::fmt::Formatter<'_>) -> ::std::fmt::Result {
                formatter.pad(self.name())
            }
        }

        impl PartialEq<$name> for str {
            fn eq(&self, word: &$name) -> bool {
                self == word.name()
            }
        }

        impl PartialEq<$name> for String {
            fn eq(&self, word: &$name) -> bool {
                self == word.name()
            }
        }

        impl PartialEq<&str> for $name {
            fn eq(&self, text: &&str) -> bool {
                self.name() == *text
            }
        }
    };
    (@word $variant:ident) => { stringify!($variant) };
    (@word $variant:ident $word:literal) => { $word };
}

#[cfg(test)]
mod tests {
    words! {
        /// Two words.
        enum Word {
            /// Written as it is called.
            Plain,
            /// Written in another way.
            Other = "another_way",
        }
    }

    #[test]
    fn a_word_is_written_as_its_list_says_and_read_back() {
        assert_eq!(Word::ALL.map(Word::name), ["Plain", "another_way"]);
        for word in Word::ALL {
            assert_eq!(Word::of_name(word.name()), Some(word));
            assert!(*word.name() == word && word == word.to_string().as_str());
        }
        assert_eq!(Word::of_name("Other"), None);
    }
}
