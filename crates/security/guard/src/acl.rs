//! The words of access lists, as Kafka's AdminClient knows them.
//!
//! Owns: rules and filters, their numbers on the wire, and which rules a filter selects.
//! Does not own: what a set of rules decides ([`crate::access`]).
//!
//! # Source  Kafka `org.apache.kafka.common.acl`, `org.apache.kafka.common.resource`

use std::fmt;

/// The name in a rule that stands for every resource, and the host that stands for every host.
pub const WILDCARD: &str = "*";

/// One closed list of words with Kafka's numbers and names.
macro_rules! words {
    ($(#[$about:meta])* $name:ident { $($variant:ident = $number:literal, $text:literal;)* }) => {
        $(#[$about])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[repr(i8)]
        pub enum $name { $($variant = $number,)* }

        impl $name {
            pub const ALL_WORDS: &[Self] = &[$(Self::$variant,)*];

            pub const fn number(self) -> i8 {
                self as i8
            }
            /// `None`: no word of a rule has this number.
            pub const fn from_number(number: i8) -> Option<Self> {
                match number {
                    $($number => Some(Self::$variant),)*
                    _ => None,
                }
            }
            pub const fn text(self) -> &'static str {
                match self {
                    $(Self::$variant => $text,)*
                }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.text())
            }
        }
    };
}

words! {
    /// What a caller wants to do.
    Operation {
        All = 2, "ALL";
        Read = 3, "READ";
        Write = 4, "WRITE";
        Create = 5, "CREATE";
        Delete = 6, "DELETE";
        Alter = 7, "ALTER";
        Describe = 8, "DESCRIBE";
        ClusterAction = 9, "CLUSTER_ACTION";
        DescribeConfigs = 10, "DESCRIBE_CONFIGS";
        AlterConfigs = 11, "ALTER_CONFIGS";
        IdempotentWrite = 12, "IDEMPOTENT_WRITE";
        CreateTokens = 13, "CREATE_TOKENS";
        DescribeTokens = 14, "DESCRIBE_TOKENS";
        TwoPhaseCommit = 15, "TWO_PHASE_COMMIT";
    }
}

words! {
    /// What it is done to.
    ResourceType {
        Topic = 2, "TOPIC";
        Group = 3, "GROUP";
        Cluster = 4, "CLUSTER";
        TransactionalId = 5, "TRANSACTIONAL_ID";
        DelegationToken = 6, "DELEGATION_TOKEN";
        User = 7, "USER";
    }
}

words! {
    /// How the name in a rule is meant.
    PatternType {
        Literal = 3, "LITERAL";
        Prefixed = 4, "PREFIXED";
    }
}

words! {
    Permission {
        Deny = 2, "DENY";
        Allow = 3, "ALLOW";
    }
}

impl ResourceType {
    /// What can be done to resources of this type; a rule may say [`Operation::All`] besides.
    pub const fn operations(self) -> &'static [Operation] {
        use Operation as Op;
        match self {
            Self::Topic => &[
                Op::Read,
                Op::Write,
                Op::Create,
                Op::Delete,
                Op::Alter,
                Op::Describe,
                Op::DescribeConfigs,
                Op::AlterConfigs,
            ],
            Self::Group => {
                &[Op::Read, Op::Delete, Op::Describe, Op::DescribeConfigs, Op::AlterConfigs]
            }
            Self::Cluster => &[
                Op::Create,
                Op::Alter,
                Op::Describe,
                Op::ClusterAction,
                Op::DescribeConfigs,
                Op::AlterConfigs,
                Op::IdempotentWrite,
            ],
            Self::TransactionalId => &[Op::Write, Op::Describe, Op::TwoPhaseCommit],
            Self::DelegationToken => &[Op::Describe],
            Self::User => &[Op::CreateTokens, Op::DescribeTokens],
        }
    }
}

/// One line of an access list.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Rule {
    pub resource: ResourceType,
    pub pattern: PatternType,
    /// The resource's name or its beginning; [`WILDCARD`], literal, stands for all.
    pub name: String,
    /// `User:NAME`; `User:*` stands for everyone.
    pub principal: String,
    /// An IP address, or [`WILDCARD`].
    pub host: String,
    pub operation: Operation,
    pub permission: Permission,
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { resource, pattern, name, principal, host, operation, permission } = self;
        write!(f, "{permission} {principal} {operation} {resource}:{pattern}:{name} from {host}")
    }
}

/// How a filter compares names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PatternFilter {
    /// Rules of every pattern with exactly this name.
    Any,
    /// Rules that bear upon a resource of this name.
    Match,
    Only(PatternType),
}

impl PatternFilter {
    pub const fn from_number(number: i8) -> Option<Self> {
        match number {
            1 => Some(Self::Any),
            2 => Some(Self::Match),
            other => match PatternType::from_number(other) {
                Some(it) => Some(Self::Only(it)),
                None => None,
            },
        }
    }
}

/// Selects rules; `None` selects all.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Filter {
    pub resource: Option<ResourceType>,
    pub pattern: PatternFilter,
    pub name: Option<String>,
    pub principal: Option<String>,
    pub host: Option<String>,
    pub operation: Option<Operation>,
    pub permission: Option<Permission>,
}

impl Filter {
    pub fn selects(&self, rule: &Rule) -> bool {
        let same = |wanted: &Option<String>, is: &str| wanted.as_deref().is_none_or(|it| it == is);
        self.resource.is_none_or(|it| it == rule.resource)
            && self.selects_name(rule)
            && same(&self.principal, &rule.principal)
            && same(&self.host, &rule.host)
            && self.operation.is_none_or(|it| it == rule.operation)
            && self.permission.is_none_or(|it| it == rule.permission)
    }

    fn selects_name(&self, rule: &Rule) -> bool {
        let is_equal = self.name.as_deref().is_none_or(|it| it == rule.name);
        match (self.pattern, rule.pattern) {
            (PatternFilter::Only(wanted), is) => wanted == is && is_equal,
            (PatternFilter::Any, _) => is_equal,
            (PatternFilter::Match, PatternType::Literal) => is_equal || rule.name == WILDCARD,
            (PatternFilter::Match, PatternType::Prefixed) => {
                self.name.as_deref().is_none_or(|it| it.starts_with(&rule.name))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::expect;

    fn rule(pattern: PatternType, name: &str) -> Rule {
        Rule {
            resource: ResourceType::Topic,
            pattern,
            name: name.to_owned(),
            principal: "User:alice".to_owned(),
            host: WILDCARD.to_owned(),
            operation: Operation::Read,
            permission: Permission::Allow,
        }
    }

    /// Every kind of filter x every kind of rule, printed.
    #[test]
    fn filters_select_names_as_kafka_does() {
        let rules = [
            rule(PatternType::Literal, "clinical"),
            rule(PatternType::Literal, WILDCARD),
            rule(PatternType::Prefixed, "clin"),
            rule(PatternType::Prefixed, "clinical.observation"),
        ];
        let all = Filter {
            resource: None,
            pattern: PatternFilter::Any,
            name: None,
            principal: None,
            host: None,
            operation: None,
            permission: None,
        };
        let mut table = String::new();
        for number in 1..=4 {
            let pattern = PatternFilter::from_number(number).unwrap();
            for name in [None, Some("clinical"), Some("clin"), Some("*")] {
                let filter = Filter { pattern, name: name.map(Into::into), ..all.clone() };
                let selected = rules.iter().filter(|it| filter.selects(it));
                let selected: Vec<_> =
                    selected.map(|it| format!("{}:{}", it.pattern, it.name)).collect();
                table += format!("{pattern:?} {name:?}: {}", selected.join(" ")).trim_end();
                table.push('\n');
            }
        }
        expect![[r#"
            Any None: LITERAL:clinical LITERAL:* PREFIXED:clin PREFIXED:clinical.observation
            Any Some("clinical"): LITERAL:clinical
            Any Some("clin"): PREFIXED:clin
            Any Some("*"): LITERAL:*
            Match None: LITERAL:clinical LITERAL:* PREFIXED:clin PREFIXED:clinical.observation
            Match Some("clinical"): LITERAL:clinical LITERAL:* PREFIXED:clin
            Match Some("clin"): LITERAL:* PREFIXED:clin
            Match Some("*"): LITERAL:*
            Only(Literal) None: LITERAL:clinical LITERAL:*
            Only(Literal) Some("clinical"): LITERAL:clinical
            Only(Literal) Some("clin"):
            Only(Literal) Some("*"): LITERAL:*
            Only(Prefixed) None: PREFIXED:clin PREFIXED:clinical.observation
            Only(Prefixed) Some("clinical"):
            Only(Prefixed) Some("clin"): PREFIXED:clin
            Only(Prefixed) Some("*"):
        "#]]
        .assert_eq(&table);
        assert!(!Filter { operation: Some(Operation::Write), ..all.clone() }.selects(&rules[0]));
        assert!(!Filter { principal: Some("User:bob".into()), ..all }.selects(&rules[0]));
    }

    #[test]
    fn words_keep_kafkas_numbers() {
        for it in Operation::ALL_WORDS {
            assert_eq!(Operation::from_number(it.number()), Some(*it));
        }
        assert_eq!(Operation::from_number(1), None, "ANY is a word of filters alone");
        assert_eq!(Permission::from_number(0), None);
        assert_eq!(ResourceType::TransactionalId.to_string(), "TRANSACTIONAL_ID");
    }
}
