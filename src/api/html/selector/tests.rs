//! What selectors find, which cannot be read, and what they cost.

use proptest::prelude::*;

use super::super::document::{Document, NodeId, ROOT};
use super::super::parse::parse;
use super::{Matcher, Selector};

fn document(text: &str) -> Document {
    parse("test", text, 64 << 20).expect("a document")
}

/// Returns the ids of what a selector finds, or `*` where there is none.
fn ids(document: &Document, selector: &str) -> String {
    let selector = Selector::parse(selector).unwrap_or_else(|problem| panic!("{problem}"));
    let matcher = Matcher::new(document);
    let found = document.below(ROOT).filter(|node| matcher.matches(&selector, *node, ROOT));
    let id = |node: NodeId| document.attribute(node, &"id".into()).unwrap_or("*");
    found.map(id).collect::<Vec<_>>().join(" ")
}

const PAGE: &str = r##"<!doctype html><html id=html><head id=head><title id=title>T</title></head><body id=body>
<div id=a class="one two" data-x="p q-r" title="Über" lang=en-GB>
  <p id=b class=one>first <b id=c>bold</b></p>
  <p id=d>second</p><!-- comment -->
  <P id=e CLASS="Two three"><a id=f href="/x.pdf">link</a><a id=g name=n>anchor</a></P>
  <span id=h></span><span id=i> </span><span id=j><!-- x --></span>
</div>
<ul id=k><li id=l>1<li id=m class=one>2<li id=n>3<li id=o class=one>4<li id=p>5</ul>
<svg id=q viewBox="0 0 1 1"><linearGradient id=r xlink:href="#s"/></svg>
<form id=form><input id=t name=t><input id=u type=CHECKBOX checked><input id=v type=submit disabled>
<select id=w><option id=x>1<option id=y selected>2</select><button id=z>b</button>
<fieldset id=fs disabled><legend id=le><input id=in1 type=radio></legend><textarea id=in2 required></textarea></fieldset></form>
<p id="we:ird.id" class="1st">x</p>
</body></html>"##;

#[test]
fn selectors_find_what_css_says() {
    let cases = [
        // Names, ids, classes.
        ("p", "b d e we:ird.id"),
        ("P", "b d e we:ird.id"),
        ("*.one", "a b m o"),
        (".one.two", "a"),
        ("p.one", "b"),
        ("#d", "d"),
        ("div#a.one", "a"),
        (".Two", "e"),
        ("p, #a, li.one", "a b d e m o we:ird.id"),
        ("#we\\:ird\\.id", "we:ird.id"),
        (".\\31 st", "we:ird.id"),
        ("linearGradient", "r"),
        ("lineargradient", ""),
        // Attributes.
        ("[href]", "f"),
        ("[HREF]", "f"),
        ("[href='/x.pdf']", "f"),
        ("[href=\"/x.pdf\"]", "f"),
        ("[href$='.pdf']", "f"),
        ("[href^='/x' ]", "f"),
        ("[ href *= pdf ]", "f"),
        ("[data-x~=p]", "a"),
        ("[data-x~=q]", ""),
        ("[data-x|=p]", ""),
        ("[lang|=en]", "a"),
        ("[lang|=en-GB]", "a"),
        ("[lang|=e]", ""),
        ("[title=Über]", "a"),
        ("[type=checkbox]", ""),
        ("[type=checkbox i]", "u"),
        ("[type='CHECKBOX' s]", "u"),
        ("[href^='']", ""),
        ("a[href!='/x.pdf']", "g"),
        ("[viewBox]", "q"),
        ("svg [xlink:href]", "r"),
        ("[id=l][id=m]", ""),
        // Combinators.
        ("div p", "b d e"),
        ("div > p > b", "c"),
        ("div b", "c"),
        ("div > b", ""),
        ("p + p", "d e"),
        ("p ~ p", "d e"),
        ("b + p", ""),
        ("p ~ span", "h i j"),
        ("p~span:last-child", "j"),
        ("#l+li", "m"),
        ("#m ~ .one", "o"),
        ("body div p a", "f g"),
        ("ul>li:first-child+li ~ li", "n o p"),
        ("div ~ ul li.one", "m o"),
        ("html > body > div > p > a + a", "g"),
        ("p p", ""),
        // Places.
        ("li:first-child", "l"),
        ("li:last-child", "p"),
        ("li:nth-child(2)", "m"),
        ("li:nth-child(odd)", "l n p"),
        ("li:nth-child(even)", "m o"),
        ("li:nth-child( 2n + 1 )", "l n p"),
        ("li:nth-child(-n+2)", "l m"),
        ("li:nth-child(n+4)", "o p"),
        ("li:nth-child(3n-1)", "m p"),
        ("li:nth-child(-2n+5)", "l n p"),
        ("li:nth-child(0)", ""),
        ("li:nth-last-child(-n+2)", "o p"),
        ("li:nth-child(2 of .one)", "o"),
        ("li:nth-last-child(1 of .one)", "o"),
        ("div > :nth-of-type(2)", "d i"),
        ("div > span:first-of-type", "h"),
        ("div > :last-of-type", "e j"),
        ("p:nth-last-of-type(1)", "e we:ird.id"),
        ("b:only-child", "c"),
        ("div :only-of-type", "c"),
        (":root", "html"),
        ("html:first-child:last-child", "html"),
        (":empty:not(input):not(linearGradient)", "h j in2"),
        // Nested.
        ("li:not(.one)", "l n p"),
        ("li:not(.one, :first-child)", "n p"),
        ("li:not(ul > .one)", "l n p"),
        (":is(ul, div) > .one", "b m o"),
        (":where(#l, #m)", "l m"),
        ("p:has(b)", "b"),
        ("p:has(> a[href])", "e"),
        ("div:has(p + p)", "a"),
        ("div:has(> p b)", "a"),
        ("div:has(body p)", ""),
        ("div:has(div p)", ""),
        ("p:has(+ p)", "b d"),
        ("p:has(~ span)", "b d e"),
        ("p:has(+ p a)", "d"),
        ("p:has(~ p > a)", "b d"),
        (":has(> title)", "head"),
        ("li:has(:scope + li)", ""),
        ("div:has(:scope > p)", ""),
        // What k6's and jQuery's users know.
        ("p:contains(second)", "d"),
        ("p:contains(\"st bold\")", "b"),
        ("p:contains-own('bold')", ""),
        ("b:containsOwn(bold)", "c"),
        (":link", "f"),
        (":checked", "u y"),
        (":selected", "y"),
        ("form :disabled", "v fs in2"),
        ("input:enabled", "t u in1"),
        (":required", "in2"),
        ("input:optional", "t u v in1"),
        (":input", "t u v w z in1 in2"),
        (":button", "z"),
        (":text", "t"),
        (":checkbox", "u"),
        (":radio", "in1"),
        (":submit", "v z"),
    ];
    let page = document(PAGE);
    let wrong: Vec<String> = cases
        .iter()
        .filter(|(selector, wanted)| ids(&page, selector) != *wanted)
        .map(|(selector, wanted)| {
            format!("{selector}: got {:?}, want {wanted:?}", ids(&page, selector))
        })
        .collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn names_in_pages_without_a_doctype_are_the_same_in_any_case() {
    let page = document("<p id=A class=B>x");
    assert_eq!((ids(&page, "#a"), ids(&page, ".b")), ("A".to_owned(), "A".to_owned()));
}

#[test]
fn what_cannot_be_read_is_shown_with_its_place() {
    let long = format!("a{}", " a".repeat(64));
    let deep = format!("{}a", ":not(".repeat(9));
    let cases = [
        ("", "it is empty (at character 1)"),
        ("div:nope", "there is no pseudo-class `:nope` (at character 4)"),
        (
            "ä:frist-child",
            "there is no pseudo-class `:frist-child`; did you mean `:first-child`? (at character 2)",
        ),
        (
            "a:nth-chidl(2)",
            "there is no pseudo-class `:nth-chidl`; did you mean `:nth-child`? (at character 2)",
        ),
        ("a::before", "pseudo-elements cannot be selected (at character 2)"),
        ("a,", "it ends where a selector should begin (at character 3)"),
        ("> a", "there is `>` where a selector should begin (at character 1)"),
        ("a > > b", "there is `>` where a selector should begin (at character 5)"),
        ("a b)", "`)` cannot stand here (at character 4)"),
        ("a }", "there is `}` where a selector should begin (at character 3)"),
        ("a{", "`{` cannot stand here (at character 2)"),
        ("a.", "a name is missing after `.` (at character 3)"),
        ("#", "a name is missing after `#` (at character 2)"),
        ("a:", "a name is missing after `:` (at character 3)"),
        ("2a", "a name cannot begin with a digit (at character 1)"),
        ("[]", "an attribute's name is missing (at character 2)"),
        ("[a", "`]` is missing after the attribute (at character 3)"),
        ("[a=]", "a name is missing after `=` (at character 4)"),
        ("[href$=.pdf]", "a name is missing after `$=` (at character 8)"),
        ("[a='b]", "a ' has no end (at character 4)"),
        ("[a=b c]", "`c` is neither `]` nor the flag `i` (at character 6)"),
        ("[a@b]", "`]` is missing after the attribute; there is `@` (at character 3)"),
        ("a:not(b", "`)` is missing after `:not(` (at character 8)"),
        ("a:not()", "there is `)` where a selector should begin (at character 7)"),
        ("a:not", "`:not` needs arguments: `:not(...)` (at character 6)"),
        ("a:root(b)", "`:root` takes no arguments (at character 2)"),
        (
            "a:nth-child(x)",
            "`x` is no place such as `3`, `odd`, `even` or `2n+1` (at character 13)",
        ),
        (
            "a:nth-child(2n+)",
            "`2n+` is no place such as `3`, `odd`, `even` or `2n+1` (at character 13)",
        ),
        ("svg|a", "namespaces are not supported (at character 4)"),
        ("a\\", "it ends with `\\` (at character 3)"),
        (&long, "more than 64 parts stand in a row (at character 129)"),
        (&deep, "selectors lie inside one another more than 8 deep (at character 46)"),
    ];
    for (selector, wanted) in cases {
        let problem = Selector::parse(selector).expect_err(selector);
        assert_eq!(problem, format!("the selector \"{selector}\" cannot be read: {wanted}"));
    }
    let endless = "a".repeat(5_000);
    assert_eq!(Selector::parse(&endless).unwrap_err(), "the selector has more than 4096 bytes");
}

/// Returns how many steps it takes to look for a selector everywhere, at most a million.
fn steps(page: &Document, selector: &str) -> u64 {
    let selector = Selector::parse(selector).expect(selector);
    let most = 1_000_000;
    for power in 0..=20 {
        let limit = (1 << power).min(most);
        let matcher = Matcher::with_limit(page, limit);
        let _found =
            page.below(ROOT).filter(|node| matcher.matches(&selector, *node, ROOT)).count();
        if matcher.check().is_ok() {
            return limit;
        }
    }
    u64::MAX
}

#[test]
fn no_way_is_tried_twice() {
    let deep = document(&"<div class=x>".repeat(500));
    // Were each way tried, these took 500 to the power of six.
    assert!(steps(&deep, ".x .x .x .x .x .x .y") <= 1 << 10);
    assert!(steps(&deep, ".y .x .x .x .x .x .x") <= 1 << 20);
    assert!(steps(&deep, ".y > .x .x > .x .x > .x .x") <= 1 << 20);
    let flat = document(&"<i class=x></i>".repeat(500));
    assert!(steps(&flat, ".y ~ .x ~ .x ~ .x ~ .x ~ .x") <= 1 << 20);
    assert!(steps(&flat, ".y .x ~ .x ~ .x") <= 1 << 20);
    assert!(steps(&flat, "i:nth-child(2n+1):nth-last-child(3)") <= 1 << 13);
}

#[test]
fn what_is_too_expensive_is_given_up() {
    let flat = document(&"<i></i>".repeat(2_000));
    let matcher = Matcher::with_limit(&flat, 100_000);
    let selector = Selector::parse("b ~ i").unwrap();
    let found = flat.below(ROOT).filter(|node| matcher.matches(&selector, *node, ROOT)).count();
    assert_eq!(found, 0);
    assert_eq!(
        matcher.check().unwrap_err(),
        "the selector is too expensive in this document: more than 100000 steps"
    );
}

#[test]
fn the_longest_selectors_need_little_stack() {
    let part = "i b ".repeat(31);
    let nested = format!("{}{part}{}", ":is(:not(".repeat(4), "))".repeat(4));
    let has = format!(":has({part} b)");
    // A worker's thread has more.
    std::thread::Builder::new()
        .stack_size(512 << 10)
        .spawn(move || {
            let page = document(&"<i><b>".repeat(200));
            let _ = (ids(&page, &nested), ids(&page, &has), ids(&page, &part));
        })
        .unwrap()
        .join()
        .unwrap();
}

/// A selector of few names, so that much of it is found.
fn selectors() -> impl Strategy<Value = String> {
    let simple =
        prop_oneof!["[ab]", "\\.[xy]", "\\[t=[xy]\\]", ":first-child", ":nth-child\\(2n\\)"];
    let compound = proptest::collection::vec(simple, 1..3).prop_map(|mut parts| {
        // A name comes first.
        parts.sort_by_key(|part| part.len() != 1);
        parts.dedup_by_key(|part| part.len() == 1);
        parts.concat()
    });
    let combinator = prop_oneof![Just(" "), Just(" > "), Just(" + "), Just(" ~ ")];
    (compound.clone(), proptest::collection::vec((combinator, compound), 0..4)).prop_map(
        |(first, rest)| {
            rest.into_iter()
                .fold(first, |text, (combinator, next)| text + combinator + next.as_str())
        },
    )
}

/// Looks for the rest of a selector by trying every way.
fn naive(page: &Document, selector: &super::Complex, at: usize, node: NodeId) -> bool {
    let matcher = Matcher::new(page);
    let one =
        Selector(vec![super::Complex { steps: vec![(Vec::new(), super::Combinator::Descendant)] }]);
    let fits = |node: NodeId| {
        let compound = &selector.steps[at].0;
        matcher.matches(&one, node, ROOT)
            && compound.iter().all(|simple| matcher.simple(simple, node, ROOT))
    };
    if !fits(node) {
        return false;
    }
    if at + 1 == selector.steps.len() {
        return true;
    }
    let go_on = |other: NodeId| naive(page, selector, at + 1, other);
    match selector.steps[at].1 {
        super::Combinator::Descendant => page.ancestors(node).any(go_on),
        super::Combinator::Child => page.parent(node).is_some_and(go_on),
        super::Combinator::Next => page.elements(page.before(node)).next().is_some_and(go_on),
        super::Combinator::Later => page.elements(page.before(node)).any(go_on),
    }
}

proptest! {
    #[test]
    fn ways_that_are_left_out_lead_nowhere(
        parts in proptest::collection::vec("<[ab]( class=[xy]| t=[xy])?>|</[ab]>|z", 0..60),
        text in selectors(),
    ) {
        // Elements that HTML does not nest in its own way.
        let page = document(&parts.concat().replace("<a", "<x-a").replace("<b", "<x-b")
            .replace("</a", "</x-a").replace("</b", "</x-b"));
        let text = text.split(' ').map(|part| match part.chars().next() {
            Some('a' | 'b') => format!("x-{part}"),
            _ => part.to_owned(),
        }).collect::<Vec<_>>().join(" ");
        let selector = Selector::parse(&text).unwrap();
        let matcher = Matcher::new(&page);
        for node in page.below(ROOT) {
            let wanted = naive(&page, &selector.0[0], 0, node);
            prop_assert_eq!(matcher.matches(&selector, node, ROOT), wanted, "{} at {}", text, node);
        }
    }

    #[test]
    fn reading_never_panics(text in "[-a-zA-Z0-9#.:\\[\\]()=~^$*|'\"\\\\ >+,ä!\n]{0,40}|\\PC{0,20}") {
        let _ = Selector::parse(&text);
    }

    #[test]
    fn what_is_read_can_be_looked_for(text in "(div|p|\\*)?(:(not|is|has|nth-child|nth-of-type|contains)\\([ >+~a-z0-9.-]{0,6}\\)|:[a-z-]{4,8}|\\.one|\\[id\\]){0,3}") {
        if let Ok(selector) = Selector::parse(&text) {
            let page = document(PAGE);
            let matcher = Matcher::new(&page);
            page.below(ROOT).for_each(|node| {
                let _ = matcher.matches(&selector, node, ROOT);
            });
            prop_assert!(matcher.check().is_ok());
        }
    }
}
