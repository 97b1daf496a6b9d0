//! Derives for messages, in place of prost's own: they read the same attributes and mean the same, but a message says
//! only where its fields are, by `enfilade_proto::compact`, and one decoder and one encoder serve all of them. prost's
//! unrolled code took a quarter of what browsers load.

mod field;

use proc_macro2::TokenStream;
use quote::quote;
use syn::{Data, DeriveInput, Error, Fields, Result, parse_macro_input};

use field::Field;

/// In place of `prost::Message`: as that, it brings `Debug` and `Default` along.
#[proc_macro_derive(Message, attributes(prost))]
pub fn message(input: proc_macro::TokenStream) -> proc_macro::TokenStream {
    let input = parse_macro_input!(input as DeriveInput);
    derive_message(&input).unwrap_or_else(Error::into_compile_error).into()
}

/// In place of `prost::Oneof`: as that, it brings `Debug` along.
#[proc_macro_derive(Oneof, attributes(prost))]
pub fn oneof(input: proc_macro::TokenStream) -> proc_macro::TokenStream {
    let input = parse_macro_input!(input as DeriveInput);
    derive_oneof(&input).unwrap_or_else(Error::into_compile_error).into()
}

fn derive_message(input: &DeriveInput) -> Result<TokenStream> {
    let Data::Struct(data) = &input.data else {
        return Err(Error::new_spanned(input, "a message is a struct"));
    };
    let members = data.fields.members().zip(&data.fields);
    let mut fields = members
        .map(|(member, field)| Ok((member, Field::parse(&field.attrs)?)))
        .collect::<Result<Vec<_>>>()?;
    // As prost does it: what is encoded does not depend on the order of declaration.
    fields.sort_by_key(|(_, field)| field.tags.iter().min().copied());

    let reads = fields.iter().map(|(member, field)| {
        let tags = &field.tags;
        let read = field.read(&quote!(self.#member));
        quote!(#(#tags)|* => #read,)
    });
    let writes = fields.iter().map(|(member, field)| field.write(&quote!(self.#member)));
    let accessors = fields.iter().map(|(member, field)| field.accessors(member));
    let members = data.fields.members().collect::<Vec<_>>();
    let name = &input.ident;
    let (generics, parameters, bounds) = input.generics.split_for_impl();
    Ok(quote! {
        impl #generics ::enfilade_proto::compact::Decode for #name #parameters #bounds {
            #[allow(clippy::match_single_binding)]
            fn field(&mut self, tag: u32, input: &mut ::enfilade_proto::compact::Input<'_>) {
                match tag {
                    #(#reads)*
                    _ => input.skip(),
                }
            }
        }

        impl #generics ::enfilade_proto::compact::Encode for #name #parameters #bounds {
            #[allow(unused_variables)]
            fn write(&self, out: &mut ::enfilade_proto::compact::Out<'_>) {
                #(#writes)*
            }
        }

        ::enfilade_proto::compact_message!(#name);

        impl #generics Default for #name #parameters #bounds {
            fn default() -> Self {
                #name { #(#members: Default::default(),)* }
            }
        }

        impl #generics core::fmt::Debug for #name #parameters #bounds {
            fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
                f.debug_struct(stringify!(#name))#(.field(stringify!(#members), &self.#members))*.finish()
            }
        }

        impl #generics #name #parameters #bounds {
            #(#accessors)*
        }
    })
}

fn derive_oneof(input: &DeriveInput) -> Result<TokenStream> {
    let Data::Enum(data) = &input.data else {
        return Err(Error::new_spanned(input, "a oneof is an enum"));
    };
    let variants = data
        .variants
        .iter()
        .map(|variant| match (&variant.fields, Field::parse(&variant.attrs)?) {
            (Fields::Unnamed(_), field) if field.tags.len() == 1 => Ok((&variant.ident, field)),
            (_, _) => Err(Error::new_spanned(variant, "a variant has one value and one tag")),
        })
        .collect::<Result<Vec<_>>>()?;
    let tags = variants.iter().map(|(_, field)| field.tags[0]).collect::<Vec<_>>();
    let idents = variants.iter().map(|(ident, _)| *ident).collect::<Vec<_>>();
    let reads = variants.iter().map(|(_, field)| field.read_kind(&quote!(value)));
    let writes = variants.iter().map(|(_, field)| field.write_present(&quote!(value)));
    let name = &input.ident;
    Ok(quote! {
        impl #name {
            /// Number of the field that is there.
            pub fn tag(&self) -> u32 {
                match self {
                    #(Self::#idents(_) => #tags,)*
                }
            }

            #[doc(hidden)]
            pub fn read(field: &mut Option<Self>, tag: u32, input: &mut ::enfilade_proto::compact::Input<'_>) {
                let held = field.as_ref().map(Self::tag);
                if held != Some(tag) {
                    *field = match tag {
                        #(#tags => Some(Self::#idents(Default::default())),)*
                        _ => None,
                    };
                }
                match field {
                    #(Some(Self::#idents(value)) => #reads,)*
                    None => {}
                }
            }

            #[doc(hidden)]
            pub fn write(&self, out: &mut ::enfilade_proto::compact::Out<'_>) {
                match self {
                    #(Self::#idents(value) => #writes,)*
                }
            }
        }

        impl core::fmt::Debug for #name {
            fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
                match self {
                    #(Self::#idents(value) => f.debug_tuple(stringify!(#idents)).field(value).finish(),)*
                }
            }
        }
    })
}
