"""A page checks its parameters, escapes names, writes and reads its tables, and says how to run it again."""

import io
import json
import re
import sys
from contextlib import suppress
from functools import partial

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml
from conftest import ROOT
from markdown_it import MarkdownIt

from helpers import page as page_module
from helpers.page import (
    NOT_SHOWN,
    SOURCE,
    Page,
    ParameterError,
    check_parameters,
    count,
    fill,
    format_table,
    integer,
    many,
    number,
    printed,
    span,
    text,
)
from helpers.schemas import READ

sys.path.append(str(ROOT / "tests/faults"))
from damage import flipped  # noqa: E402

SPEC = {"lam": number(0, 2), "names": many(text()), **dict.fromkeys(("store", "made_with", "results"), text() | None)}
GIVEN = {"lam": 0.5, "names": ["a"], "store": None, "made_with": None, "results": None}


@pytest.mark.parametrize("value", [0.7, None, "x", True, [1, "a"], {"a": [None]}])
def test_an_unknown_name_of_a_plain_value_is_refused_with_the_nearest(value):
    with pytest.raises(ValueError, match="unknown parameter 'lamda'; did you mean 'lam'"):
        check_parameters(GIVEN | {"lamda": value}, SPEC)


def test_a_folder_of_raw_data_must_exist():
    given = dict.fromkeys(SOURCE) | {"datasets": [], "backbones": [], "variant": "clean"}
    with pytest.raises(ValueError, match="^parameter 'data_root': /nonexistent does not exist; give the path"):
        check_parameters(given | {"data_root": "/nonexistent"}, SOURCE)


def test_a_number_has_its_noun_and_a_range_of_one_value_is_that_value():
    assert (count(1, "embedding set"), count(1234, "set")) == ("1 embedding set", "1,234 sets")
    assert (span(-0.02661, -0.02659), span(0.001, 0.01), span(0.2, 0.3, ".0%")) == ("−0.0266", "+0.0010 to +0.0100", "20 % to 30 %")


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        ("-0.0000 to +0.0033 (-0.12 to -0.1)", "0.0000 to +0.0033 (−0.12 to −0.1)"),
        ("+0 % and -0.0%, +0.0100, a%20b", "0 % and 0.0 %, +0.0100, a%20b"),
        ("0.58 (0.58 to 0.58)", "0.58"), ("0.58 to 0.58.", "0.58."), ("-0.2 to -0.2, 10.5 to 0.5", "−0.2, 10.5 to 0.5"),
        ("0.5 to 0.55, 5 to 5.1", "0.5 to 0.55, 5 to 5.1"), ("from 0.4 to 0.4", "from 0.4 to 0.4"),
        ("-1e-05, 3e-4, +0e-3", "−1e-05, 3e-4, +0e-3"),
        *[(same, same) for same in ("`-0.0` lambda-1 2026-11-30 ham10000-2", "```sh\nx -1\n```", "recall@1")],
    ],
)  # fmt: skip
def test_a_number_has_a_true_minus_a_zero_no_sign_and_a_range_two_ends(given, shown):
    assert printed(given) == fill(given.replace("{", "{{")) == shown
    html = format_table(
        pd.DataFrame({"words": [given.replace("`", "")], "x": [-0.00001], "n": [-3], "b": [True], "z": [-0.2]})
    ).to_html()
    assert all(f">{cell}<" in html for cell in ("0.000", "−3", "True", "−0.200"))


def test_a_table_has_its_caption_and_numbers_to_the_right():
    html = format_table(pd.DataFrame({"name": ["a"], "x": [1.5], "low": [1.0], "high": [2.0]}), caption="Values of x.").to_html()
    assert "<caption>Values of x.</caption>" in html
    right = re.findall(r"#T_\w+_row0_col(\d)", html[: html.index("text-align: right")])
    assert right == ["1", "2"]  # the value and its interval


def test_private_names_constants_and_objects_are_not_parameters():
    own = {"_oh": {}, "__name__": "__main__", "In": [""], "ROOT": "/", "pd": pytest, "spec": {"a": number()}, "exit": object()}
    assert check_parameters(GIVEN | own, SPEC)["lam"] == 0.5


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        (number(0, 1), 1.5), (number(0, 1), float("nan")), (number(), "fast"), (number(), True), (number(), float("inf")),
        (many(number(-2, 2)), [0, 7]), (integer(1, 9), 2.5), (integer(1, 9), [1]), (integer(1, 9), True), (integer(1, 9), 10),
        (bool, "maybe"), (bool, 2), (text(), "  "), (many(number(), least=1), []), (many(number()), "[0, 1"),
        (many(number()), "0,half"), (many(integer(0, 99)), [42, 42]), (many(text()), [1]), (text(["own"]), "x"),
    ],
)  # fmt: skip
def test_bad_values_are_refused_in_one_sentence_with_the_name(kind, value):
    with pytest.raises(ValueError, match="^parameter 'x': ") as refused:
        check_parameters({"x": value}, {"x": kind})
    assert "\n" not in str(refused.value)
    assert "validation" not in str(refused.value)  # a word of the library that checks, not of the user


def test_too_few_values_are_refused_with_the_number_that_is_needed():
    with pytest.raises(ValueError, match=r"^parameter 'x': got \[0\], expected at least 2 values$"):
        check_parameters({"x": [0]}, {"x": many(number(), least=2)})


@pytest.mark.parametrize(
    ("kind", "value", "result"),
    [
        (number(), "1e-3", 1e-3), (integer(0, 9), "3", 3), (integer(0, 9), 3.0, 3), (many(number()), "[0, 1]", [0.0, 1.0]),
        (many(number()), "0,0.5,1", [0.0, 0.5, 1.0]), (many(text()), "one", ["one"]), (many(text()), "one, two", ["one, two"]),
        (many(text()), "1", ["1"]), (bool, "true", True), (many(text()) | None, None, None),
    ],
)  # fmt: skip
def test_spelled_values_are_converted(kind, value, result):
    names = {"x": value}
    found = check_parameters(names, {"x": kind})["x"]
    assert found == names["x"] == result and type(found) is type(result)


HOSTILE = [
    "a b", "it's", 'say "x"', "$(touch X)", "`touch X`", "<script>alert(1)</script>", "<img src=x onerror=alert(1)>", "{0}",
    "{name.__class__}", "{{ x }}", "{eq}`x`", "two\nlines", "../up", "Zoë ✓", "| a | b |", "$x$", "[a](javascript:alert(1))", "\\",
    "# head", "*", "x" * 255,
]  # fmt: skip


@pytest.mark.parametrize("name", HOSTILE)
def test_a_name_is_shown_and_does_nothing(name):
    for sentence in ("{name} has {n:,} pairs.", "`{name}` has {n:,} pairs.", "{name}"):
        html = MarkdownIt("commonmark", {"html": True}).render(fill(sentence, name=name, n=1200))
        assert not any(tag in html for tag in ("<script", "<img", "<a ", "<h1", "<hr")) and html.count("<p>") == 1
        if "`" not in sentence:
            inline = MarkdownIt().parse(fill(sentence, name=name, n=1200))[1]
            assert "".join(token.content for token in inline.children).startswith(" ".join(name.split()))
    html = format_table(pd.DataFrame({"dataset": [name], "x": [0.1234], name: [1]}), x="{:.1f}").to_html()
    assert "<script" not in html and "<img" not in html and ">0.1<" in html


def test_tables_have_headings_in_words_dashes_and_intervals_in_one_column():
    ends = {"low": [-0.05, None, -0.0004, 0.0], "high": [0.25, None, 0.0012, 0.1]}
    table = pd.DataFrame({"dataset": ["ham10000"] * 4, "p_value": [0.1, None, 0.2, 0.3]} | ends)
    html = format_table(table, precision=2).to_html()
    assert ">−0.0004 to 0.0012<" in html and ">0.00 to 0.10<" in html  # which side of zero an end lies on is seen
    assert all(f">{cell}<" in html for cell in ("data set", "HAM10000", "p", "–", "−0.05 to 0.25", "95 % interval"))


def page(name: str, results, **values) -> Page:
    return Page(name, GIVEN | {"results": str(results)} | values, SPEC)


@pytest.fixture
def said(monkeypatch) -> list[str]:
    """Return what pages show, as it grows."""
    shown: list[str] = []
    monkeypatch.setattr(page_module, "display", lambda content: shown.append(getattr(content, "data", "")))
    return shown


def test_a_table_made_with_other_parameters_than_the_books_is_refused(tmp_path):
    table = pd.DataFrame({"x": [1.5]})
    wanted = json.dumps({"maker": page_module.parameters_fingerprint(GIVEN | {"lam": "1e-05", "results": "elsewhere"})})
    reader = page("reader", tmp_path, made_with=wanted)
    page("maker", tmp_path, lam="1e-05").save_table(table, "t")  # as YAML passes it on
    pd.testing.assert_frame_equal(reader.read_table("t", "maker"), table)
    page("maker", tmp_path, lam=0.7).save_table(table, "t")
    with pytest.raises(ValueError, match="other parameters than the book's"):
        reader.read_table("t", "maker")
    assert len(page("reader", tmp_path).read_table("t", "maker")) == 1


def test_a_table_of_other_parameters_is_kept_and_named_and_one_of_the_same_is_replaced(tmp_path, said):
    tables = [pd.DataFrame({"value": [value]}) for value in (1, 2, 3)]
    for table, lam in zip(tables, (0.5, 0.5, 0.7), strict=True):
        page("maker", tmp_path, lam=lam).save_table(table, "t")
    (aside,) = tmp_path.glob("t.*.parquet")
    assert pd.read_parquet(aside)["value"].tolist() == [2] and pd.read_parquet(tmp_path / "t.parquet")["value"].tolist() == [3]
    (told,) = said
    assert "held the results of other parameters" in told and aside.name in told
    (tmp_path / "t.parquet").write_text("of somebody else, or damaged")
    with pytest.raises(FileExistsError, match="is not an earlier version of this file; remove it, or give another name"):
        page("maker", tmp_path, lam=0.7).save_table(tables[2], "t")
    assert len(said) == 1


def test_a_folder_of_results_with_backslashes_is_refused_and_not_made(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ValueError, match=r"parameter 'results': C:.results has a backslash; write the folder with slashes"):
        page("maker", "C:\\results")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("results", "said"),
    [
        ("/proc/none/results", "parameter 'results': .*give a folder that can be written"),
        ("C:\\results", "parameter 'results': .*backslash"),
    ],
)
def test_a_refused_parameter_is_shown_as_its_sentence_alone(results, said):
    with pytest.raises(ParameterError, match=said) as refused:
        page("maker", results)
    assert refused.value._render_traceback_() == [f"ParameterError: {refused.value}"]


def test_a_page_caches_sweeps_beside_its_tables_but_not_those_of_the_book(tmp_path, monkeypatch):
    assert page("maker", tmp_path).sweeps == tmp_path / "sweeps"
    monkeypatch.setenv("HELPERS_ROOT", str(tmp_path))
    assert page("maker", tmp_path / "runs/book/tables").sweeps is None


def test_a_missing_damaged_or_undeclared_table_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match="t.parquet is missing; run notebooks/maker.ipynb"):
        page("reader", tmp_path).read_table("t", "maker")
    (tmp_path / "t.parquet").write_bytes(b"PAR1")
    with pytest.raises(ValueError, match="t.parquet is not a whole Parquet table .*; remove it and run notebooks/maker.ipynb"):
        page("reader", tmp_path).read_table("t", "maker")
    with pytest.raises(ValueError, match="does not declare that 01_cone_effect writes the table 'other'"):
        page("01_cone_effect", tmp_path).save_table(pd.DataFrame(), "other")


def edited(path, seal: bool = False, **columns) -> None:
    """Change columns of a result table and keep what its page noted, with a fitting checksum if ``seal``."""
    content = pq.read_table(path)
    table = content.to_pandas().assign(**columns)
    changed = pa.Table.from_pandas(table, preserve_index=False).replace_schema_metadata(content.schema.metadata)
    about = json.loads(content.schema.metadata[page_module.MADE_BY])
    about |= {"sha256": page_module.checksum_of_table(changed)} if seal else {}
    pq.write_table(changed.replace_schema_metadata({**changed.schema.metadata, page_module.MADE_BY: json.dumps(about)}), path)


def test_a_result_table_that_was_edited_or_holds_what_cannot_be_is_not_read_by_another_page(tmp_path):
    row = dict.fromkeys(READ["lambda_sweep"]) | {"features": "joint", "seed": 1, "split": "test", "metric": "auc", "value": 0.9}
    row |= dict.fromkeys(("dataset", "variant", "backbone", "protocol", "alignment", "route"), "x")
    rows = pd.DataFrame([row | {"lambda_image": lam, "lambda_text": lam} for lam in (0.0, 1.0)])
    maker, path = page("maker", tmp_path), tmp_path / "lambda_sweep.parquet"
    maker.save_table(rows, "lambda_sweep")
    read = partial(page("reader", tmp_path).read_table, "lambda_sweep", "maker")
    assert len(read()) == 2
    edited(path, value=[0.9, 0.999])
    with pytest.raises(ValueError, match="lambda_sweep.parquet is damaged, or was changed after its page wrote it"):
        read()
    maker.save_table(rows, "lambda_sweep")
    whole = path.read_bytes()
    for bit in range(0, 8 * len(whole), 8 * 401 + 1):
        path.write_bytes(flipped(whole, bit))
        with suppress(ValueError):  # or the bit holds no cell
            pd.testing.assert_frame_equal(read(), pd.read_parquet(io.BytesIO(whole)))
    rows.to_parquet(path)  # without the mark
    with pytest.raises(ValueError, match="was changed after its page wrote it"):
        read()
    wrong = {
        "value": ([0.9, 1.1], "row 1: value is outside the range of its metric"), "lambda_image": ([0.0, 7.0], "row 1: "),
        "split": ("all", "row 0: "), "seed": ([1, None], "column 'seed', row 0: "), "lambda_text": (0.0, "same thing"),
        "more": (1, "its columns"), "metric": ("nll", "column 'metric', row 0: "),
    }  # fmt: skip
    for column, (values, why) in wrong.items():
        path.unlink()
        maker.save_table(rows, "lambda_sweep")
        edited(path, seal=True, **{column: values} | ({"lambda_image": 0.0} if column == "lambda_text" else {}))
        with pytest.raises(ValueError, match=f"lambda_sweep.parquet: .*{why}.*; remove it and run notebooks/maker.ipynb"):
            read()


def test_every_result_table_that_a_page_reads_has_a_schema():
    declared = yaml.safe_load((ROOT / "notebooks/pages.yml").read_text("utf-8")).values()
    assert {table for page in declared for table in page["reads"].get("tables", [])} == set(READ)


def test_a_page_says_which_sets_are_not_part_of_the_run(tmp_path, said):
    (tmp_path / NOT_SHOWN).write_text(json.dumps({"brset/clean/clip": "no folder brset", "brset/authors/clip": "no folder brset"}))
    page("any", tmp_path, store=str(tmp_path)).describe_sets([("ham10000", "clip"), ("ham10000", "own")])
    assert "Shown here: HAM10000 under clip and own." in said
    assert any("brset/authors/clip, brset/clean/clip: no folder brset" in line for line in said)
    assert any("No embeddings of" in line and "; HAM10000 (clean) under" in line for line in said)


def test_the_footer_repeats_the_page_with_what_differs_from_its_defaults(tmp_path, said):
    page("09_data", tmp_path, lam=2, names=["x y"], store="$(touch X) ```").show_footer()
    command = """papermill notebooks/09_data.ipynb out.ipynb -p lam 2.0 -p names '["x y"]' -p store '$(touch X) ```'"""
    assert f"````bash\n{command}\n````" in said[-1] and (ROOT / "notebooks/09_data.ipynb").is_file()
    assert "commit" in said[-1] and "pandas" in said[-1]
