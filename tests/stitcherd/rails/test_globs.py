from hypothesis import given, settings
from hypothesis import strategies as st

from stitcherd.rails.globs import name_pattern, path_pattern


@settings(max_examples=200, deadline=None)
@given(st.text(alphabet="ab*/.[", min_size=1, max_size=8), st.text(alphabet="abAB/.[", max_size=10))
def test_a_glob_means_what_its_stars_say(pattern: str, name: str) -> None:
    def means(pattern: str, name: str) -> bool:
        if not pattern:
            return not name
        if pattern[0] == "*":
            return any(means(pattern[1:], name[at:]) for at in range(len(name) + 1))
        return bool(name) and name[0] == pattern[0] and means(pattern[1:], name[1:])

    assert bool(name_pattern((pattern,)).match(name)) == means(pattern.lower(), name.lower())
    assert bool(name_pattern(("*", f"!{pattern}")).match(name)) != means(pattern.lower(), name.lower())


def test_no_name_makes_a_glob_slow() -> None:
    assert not name_pattern(("*a" * 40 + "b",)).match("a" * 5000)


@settings(max_examples=300, deadline=None)
@given(
    st.text(alphabet="ab*/", min_size=1, max_size=8).filter(lambda glob: glob.strip("/") != ""),
    st.text(alphabet="ab/", max_size=12),
)
def test_a_glob_of_paths_matches_what_is_below_and_a_leading_double_star_nothing(glob: str, path: str) -> None:
    bare = glob.rstrip("/") or "*"
    spelled = {bare, bare.removeprefix("**/")} if bare.startswith("**/") else {bare}
    meant = any(name_pattern((f"{each}{below}",)).match(path) for each in spelled for below in ("", "/*"))
    pattern, excluding = path_pattern((glob,)), path_pattern(("*", f"!{glob}"))
    assert pattern is not None
    assert excluding is not None
    assert bool(pattern.match(path)) == meant
    assert bool(excluding.match(path)) != meant
