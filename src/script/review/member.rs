//! What lies in modules and objects.

use super::catalogue::Signature;
use super::sign;
use super::walk::{Known, Walk, known};
use crate::api::Module;
use crate::script::Language;
use crate::script::place::Spot;
use crate::script::syntax::tree::{Node, Shape};
use crate::units;

impl Walk<'_> {
    /// Returns what is known of a member.
    pub(super) fn member(&mut self, owner: &Known, name: &str, at: Spot) -> Known {
        match owner {
            Known::Module(module, prefix) => self.module_member(module, prefix, name, at),
            Known::Shape(shape) => self.field(shape, name, at),
            _ => Known::Any,
        }
    }

    /// Looks for a name in a file that was imported, or among the script's constants.
    pub(super) fn offered_by(&mut self, of: &Node, owner: &Known, name: &str, at: Spot) {
        let (Known::File(Some(names)), Node::Name(alias, _)) = (owner, of) else { return };
        if names.contains(name) {
            return;
        }
        let what = match alias.as_str() {
            "global" => format!("the script has no constant `{name}`"),
            alias => format!("`{alias}` has no function `{name}`"),
        };
        let message = match units::nearest(name, names.iter().map(String::as_str)) {
            Some(near) => format!("{what}, did you mean `{near}`?"),
            None => what,
        };
        self.say(true, message, at, None);
    }

    fn module_member(
        &mut self,
        module: &'static Module,
        prefix: &str,
        name: &str,
        at: Spot,
    ) -> Known {
        let full = format!("{prefix}{name}");
        let names = self.catalogue.names(module, self.language);
        if names.contains(&full) {
            if let Some(shape) = self.catalogue.value(module.name, &full) {
                return known(shape.clone());
            }
            let signature = self.catalogue.function(module.name, &full).cloned();
            if signature.is_none() && module.constants.iter().any(|known| known.name == full) {
                return Known::Any;
            }
            let alias = if module.name.is_empty() { "kt" } else { module.name };
            let name =
                format!("{alias}{}{}", sign(self.language), full.replace('.', sign(self.language)));
            return Known::Call { name, signature, method: false };
        }
        let deeper = format!("{full}.");
        if names.iter().any(|name| name.starts_with(&deeper)) {
            return Known::Module(module, deeper);
        }
        let mut place = if module.name.is_empty() {
            "kingtide".to_owned()
        } else {
            format!("kingtide/{}", module.name)
        };
        if !prefix.is_empty() {
            place = format!("{place} {}", prefix.trim_end_matches('.'));
        }
        let known: Vec<&str> = names.iter().filter_map(|name| name.strip_prefix(prefix)).collect();
        let message = match units::nearest(name, known.iter().copied()) {
            Some(near) => format!("{place} has no function `{name}`, did you mean `{near}`?"),
            None => format!("{place} has no function `{name}`; there are {}", known.join(", ")),
        };
        self.say(true, message, at, None);
        Known::Any
    }

    fn field(&mut self, shape: &Shape, name: &str, at: Spot) -> Known {
        let Shape::Record { fields, open } = self.catalogue.resolved(shape) else {
            return match self.catalogue.resolved(shape) {
                Shape::Map(inner) => known((**inner).clone()),
                _ => Known::Any,
            };
        };
        let kind = match shape {
            Shape::Name(name) => name.to_lowercase(),
            _ => "this".to_owned(),
        };
        if let Some(field) = fields.iter().find(|field| field.name == name) {
            return match Signature::of(&field.shape) {
                Some(signature) => Known::Call {
                    name: format!(
                        "{kind}{}{name}",
                        if self.language == Language::Luau { ":" } else { "." }
                    ),
                    signature: Some(signature),
                    method: true,
                },
                None => known(field.shape.clone()),
            };
        }
        if !open {
            let names = fields.iter().map(|field| field.name.as_str());
            let message = match units::nearest(name, names) {
                Some(near) => format!("{kind} has no field `{name}`, did you mean `{near}`?"),
                None => format!("{kind} has no field `{name}`"),
            };
            self.say(true, message, at, None);
        }
        Known::Any
    }
}
