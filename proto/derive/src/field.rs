use proc_macro2::TokenStream;
use quote::{format_ident, quote};
use syn::punctuated::Punctuated;
use syn::{Attribute, Error, Expr, ExprLit, Lit, Member, Meta, Path, Result, Token};

/// What a field holds.
pub(crate) enum Kind {
    Bool,
    U32,
    U64,
    Enumeration(Path),
    Text,
    Bytes,
    Message,
    Oneof(Path),
}

pub(crate) enum Label {
    /// Encoded unless it is what a new message has.
    Plain,
    Optional,
    Repeated,
}

/// A field by its attribute `prost`.
pub(crate) struct Field {
    pub(crate) kind: Kind,
    pub(crate) label: Label,
    pub(crate) tags: Vec<u32>,
}

impl Field {
    pub(crate) fn parse(attributes: &[Attribute]) -> Result<Field> {
        let attribute = attributes.iter().find(|attribute| attribute.path().is_ident("prost"));
        let attribute = attribute.ok_or_else(|| Error::new(proc_macro2::Span::call_site(), "no #[prost]"))?;
        let (mut kind, mut label, mut tags) = (None, Label::Plain, Vec::new());
        for meta in attribute.parse_args_with(Punctuated::<Meta, Token![,]>::parse_terminated)? {
            let name = meta.path().require_ident()?.to_string();
            match name.as_str() {
                "bool" => kind = Some(Kind::Bool),
                "uint32" => kind = Some(Kind::U32),
                "uint64" => kind = Some(Kind::U64),
                "string" => kind = Some(Kind::Text),
                "bytes" => kind = Some(Kind::Bytes),
                "message" => kind = Some(Kind::Message),
                "enumeration" => kind = Some(Kind::Enumeration(syn::parse_str(&text(&meta)?)?)),
                "oneof" => kind = Some(Kind::Oneof(syn::parse_str(&text(&meta)?)?)),
                "optional" => label = Label::Optional,
                "repeated" => label = Label::Repeated,
                "tag" | "tags" => {
                    for tag in text(&meta)?.split(',') {
                        tags.push(tag.trim().parse().map_err(|_| Error::new_spanned(&meta, "not a number"))?);
                    }
                }
                _ => return Err(Error::new_spanned(meta, "the wire has no such field yet")),
            }
        }
        let kind = kind.ok_or_else(|| Error::new_spanned(attribute, "no type"))?;
        Ok(Field { kind, label, tags })
    }

    /// Reads the field, which is at its place from then on.
    pub(crate) fn read(&self, place: &TokenStream) -> TokenStream {
        match (&self.label, &self.kind) {
            (_, Kind::Oneof(path)) => quote!(#path::read(&mut #place, tag, input)),
            (Label::Plain, _) => self.read_kind(&quote!(&mut #place)),
            (Label::Optional, Kind::Bool) => quote!(input.optional_bool(&mut #place)),
            (Label::Optional, Kind::U32) => quote!(input.optional_u32(&mut #place)),
            (Label::Optional, Kind::U64) => quote!(input.optional_u64(&mut #place)),
            (Label::Optional, Kind::Enumeration(_)) => quote!(input.optional_i32(&mut #place)),
            (Label::Optional, Kind::Text) => quote!(input.optional_text(&mut #place)),
            (Label::Optional, Kind::Bytes) => quote!(input.optional_bytes(&mut #place)),
            (Label::Optional, Kind::Message) => quote!({
                let inner = #place.get_or_insert_default();
                input.message(inner)
            }),
            // Packed or one by one.
            (Label::Repeated, Kind::U64) => quote!(input.u64s(&mut #place)),
            (Label::Repeated, Kind::U32) => quote!(input.u32s(&mut #place)),
            (Label::Repeated, Kind::Enumeration(_)) => quote!(input.i32s(&mut #place)),
            (Label::Repeated, Kind::Text) => quote!(input.texts(&mut #place)),
            (Label::Repeated, Kind::Bytes) => quote!(input.pieces(&mut #place)),
            (Label::Repeated, Kind::Bool | Kind::Message) => {
                let read = self.read_kind(&quote!(last));
                quote!({
                    let last = ::enfilade_proto::compact::pushed(&mut #place);
                    #read
                })
            }
        }
    }

    pub(crate) fn read_kind(&self, value: &TokenStream) -> TokenStream {
        match self.kind {
            Kind::Bool => quote!(input.bool(#value)),
            Kind::U32 => quote!(input.u32(#value)),
            Kind::U64 => quote!(input.u64(#value)),
            Kind::Enumeration(_) => quote!(input.i32(#value)),
            Kind::Text => quote!(input.text(#value)),
            Kind::Bytes => quote!(input.bytes(#value)),
            Kind::Message | Kind::Oneof(_) => quote!(input.message(#value)),
        }
    }

    pub(crate) fn write(&self, place: &TokenStream) -> TokenStream {
        let tag = self.tags.first();
        let present = self.write_present(&quote!(value));
        match (&self.label, &self.kind) {
            (_, Kind::Oneof(_)) => quote!(if let Some(value) = &#place { value.write(out); }),
            (Label::Plain, Kind::Text | Kind::Bytes) => {
                quote!(if !#place.is_empty() { out.bytes(#tag, #place.as_ref()); })
            }
            // A message of its own has no default that could be left out.
            (Label::Plain, Kind::Message) => quote!(out.message(#tag, &#place);),
            (Label::Plain, _) => quote!(out.number_unless_zero(#tag, #place as u64);),
            (Label::Optional, _) => quote!(if let Some(value) = &#place { #present; }),
            (Label::Repeated, Kind::U64) => quote!(out.packed(#tag, &mut #place.iter().copied());),
            (Label::Repeated, Kind::U32) => {
                quote!(out.packed(#tag, &mut #place.iter().map(|value| u64::from(*value)));)
            }
            (Label::Repeated, Kind::Enumeration(_)) => {
                quote!(out.packed(#tag, &mut #place.iter().map(|value| *value as u64));)
            }
            (Label::Repeated, _) => quote!(for value in &#place { #present; }),
        }
    }

    /// Writes what is there, even if it is empty or zero.
    pub(crate) fn write_present(&self, value: &TokenStream) -> TokenStream {
        let tag = self.tags.first();
        match self.kind {
            Kind::Bool | Kind::U32 | Kind::U64 | Kind::Enumeration(_) => {
                quote!(out.number(#tag, *#value as u64))
            }
            Kind::Text | Kind::Bytes => quote!(out.bytes(#tag, #value.as_ref())),
            Kind::Message | Kind::Oneof(_) => quote!(out.message(#tag, #value)),
        }
    }

    /// Enumerations as such, and optional values with their default, as prost has them.
    pub(crate) fn accessors(&self, member: &Member) -> TokenStream {
        let Member::Named(name) = member else { return TokenStream::new() };
        let set = format_ident!("set_{name}");
        match (&self.label, &self.kind) {
            (Label::Plain, Kind::Enumeration(path)) => quote! {
                /// The value; the first one of the enumeration where it is unknown.
                pub fn #name(&self) -> #path {
                    <#path as ::core::convert::TryFrom<i32>>::try_from(self.#name).unwrap_or_default()
                }
                /// Sets the value.
                pub fn #set(&mut self, value: #path) {
                    self.#name = value as i32;
                }
            },
            (Label::Optional, Kind::Enumeration(path)) => quote! {
                /// The value; the first one of the enumeration where it is absent or unknown.
                pub fn #name(&self) -> #path {
                    let value = self.#name.unwrap_or_default();
                    <#path as ::core::convert::TryFrom<i32>>::try_from(value).unwrap_or_default()
                }
                /// Sets the value.
                pub fn #set(&mut self, value: #path) {
                    self.#name = Some(value as i32);
                }
            },
            (Label::Optional, Kind::Text) => quote! {
                /// The text; empty where it is absent.
                pub fn #name(&self) -> &str {
                    self.#name.as_deref().unwrap_or_default()
                }
            },
            (Label::Optional, Kind::Bool) => accessor(name, &quote!(bool)),
            (Label::Optional, Kind::U32) => accessor(name, &quote!(u32)),
            (Label::Optional, Kind::U64) => accessor(name, &quote!(u64)),
            _ => TokenStream::new(),
        }
    }
}

fn accessor(name: &syn::Ident, kind: &TokenStream) -> TokenStream {
    quote! {
        /// The value; zero or false where it is absent.
        pub fn #name(&self) -> #kind {
            self.#name.unwrap_or_default()
        }
    }
}

/// The text after the equals sign.
fn text(meta: &Meta) -> Result<String> {
    match meta {
        Meta::NameValue(pair) => match &pair.value {
            Expr::Lit(ExprLit { lit: Lit::Str(text), .. }) => Ok(text.value()),
            other => Err(Error::new_spanned(other, "a text is expected")),
        },
        // `bytes` without a type.
        other => Err(Error::new_spanned(other, "a value is expected")),
    }
}
