"""Every refusal of the configuration is one sentence with key, value and what is allowed."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lammps_topo.config import Config, load_config, parse_config, words_to_overrides
from lammps_topo.errors import ConfigError
from lammps_topo.meaning import find_global_fluxes

REFUSALS = {
    "speces: 1": "unknown key 'speces'; did you mean 'species'",
    "msd: {lag: 3}": r"unknown key 'msd.lag'; did you mean 'lags'\? \(allowed: lags, every",
    "msd: {lags: 3}": r"key 'msd': lags \(3\) must be a multiple of every \(4\)",
    "species: {Ag: {type: 1, oxidaton: 2}}": "unknown key 'species.Ag.oxidaton'; did you mean 'oxidation'",
    "species: {Ag: {type: 0}}": "key 'species.Ag.type.0",
    "species: {A: {type: 1}, B: {type: [1, 2]}}": "type 1 belongs to both species 'A' and 'B'",
    "frame: x": "key 'frame' has the value 'x', but input should be 'barycentric', 'host' or 'laboratory'",
    "msd: {frames: [barycentric, barycentric]}": "the frames barycentric, barycentric must differ from each other",
    "frame: host": "the frame 'host' needs the key 'host'",
    "host: Xe\nspecies: {A: {type: 1}}": "host 'Xe' is not a species",
    "temperature: -3": "key 'temperature' has the value -3, but input should be greater than 0",
    "temperature: .nan": "key 'temperature' has the value nan",
    "representations: oxidation": "'oxidation' needs a charge 'oxidation' for every species; no species is given",
    "representations: ionic": "the representation 'ionic' needs a definition; without one there are oxidation, atomic",
    "representations: [3]": "a list of names, or a mapping from names to definitions, is needed",
    "representations: {m: {charge: q}}": "key 'representations.m.charge' has the value 'q', but a number an atom",
    "representations: {m: {born: d_z}}": "key 'representations.m.born' has the value 'd_z', but nine numbers an atom",
    "representations: {m: {born: {O: [1, 2]}}}": "the tensor of 'O' must be a number or three rows of three numbers",
    "representations: {m: {born: {O: [[1, 2, .inf], [0, 0, 0], [0, 0, 0]]}}}": "the tensor of 'O' must be a number",
    "representations: {m: {chrge: d_z}}": "unknown key 'representations.m.chrge'; did you mean 'charge'",
    "representations: {m: {charge: d_z, molecular: atomic}}": "one of oxidation, charge, born, carriers, molecular is",
    "representations: {m: {}}": "carriers, molecular is needed, not none",
    "representations: {m: {molecular: born}}": "key 'representations.m.molecular' has the value 'born', but input",
    "representations: {m: {carriers: 1}}": r"weights by type are needed, as in \{1: 1.0, 2: -2.0\}",
    "representations: {a/b: {charge: d_z}}": "key 'representations.a/b",
    "representations: {a - b: {charge: d_z}}": "key 'representations.a - b",
    "representations: {energy: {charge: d_z}}": "a representation cannot be named 'energy'",
    "representations: {atomic: {charge: d_z}}": "the representation 'atomic' takes no definition",
    f"representations: {{{', '.join(f'r{i}: {{charge: d_z}}' for i in range(9))}}}": "there are 9 representations",
    "segments: {shortest: 101}": "an even number of samples is needed",
    "msd: {window: [3, 2]}": "begin < end",
    "correlations: {pairs: [vx]}": "key 'correlations.pairs.0' has the value 'vx', but input should be 'vv', 'ff'",
    "correlations: {windo: 3}": r"unknown key 'correlations.windo'; did you mean 'window'\? \(allowed: window, lags",
    "correlations: {force: d3_x}": "key 'correlations.force' has the value 'd3_x'",
    "correlations: {force: none, pairs: vf}": "pairs with a force 'f' need a force, but force is 'none'",
    "correlations: {frame: host}": "correlations in the frame 'host' need the key 'host'",
    "correlations: {lags: 1000000}": "key 'correlations.lags' has the value 1000000",
    "heat: flux": r"key 'heat.energy' has the value 'flux', but a global vector \(c_ID or f_ID\), or 3 numbers",
    "heat: c_a[1] v_b": "key 'heat.energy' has the value 'c_a",
    "heat: c_a[0] v_b v_c": "key 'heat.energy' has the value 'c_a",
    "heat: v_jx": "key 'heat.energy' has the value 'v_jx'",
    "heat: {all: c_a, other: 3}": "key 'heat.other' has the value 3",
    "heat: {a/b: c_a}": "key 'heat.a/b",
    "stress: c_a c_b c_c": r"key 'stress' has the value 'c_a c_b c_c', but a global vector \(c_ID or f_ID\), or 6",
    "fluxes: c_a": "key 'fluxes' has the value 'c_a'",
    "a: [": "not valid YAML at line",
    "- 1": "must hold 'key: value' lines, not a list",
    "!!python/object/apply:os.system [ls]": "not valid YAML",
}


@pytest.mark.parametrize("text", REFUSALS)
def test_refusal(text):
    with pytest.raises(ConfigError, match=REFUSALS[text]) as caught:
        parse_config(text, source="agi.yaml")
    assert str(caught.value).startswith("agi.yaml")
    assert "\n" not in str(caught.value)


def test_words_of_the_fix_line_go_on_top():
    config = parse_config("msd: {lags: 64, every: 8}", words_to_overrides(["msd.lags", "128", "host", "[A, B]"]))
    assert (config.msd.lags, config.msd.every, config.host) == (128, 8, ["A", "B"])


@pytest.mark.parametrize("text", ["correlations: true", "correlations: {}"])
def test_a_section_is_switched_on(text):
    assert parse_config(text).correlations.lags == 1000


@pytest.mark.parametrize("text", ["correlations: false", "", "correlations:"])
def test_a_section_is_off(text):
    assert parse_config(text).correlations is None


def test_missing_file():
    with pytest.raises(ConfigError, match=r"'nowhere.yaml' cannot be read: No such file"):
        load_config("nowhere.yaml")


@given(st.text(max_size=200))
def test_any_text_is_a_configuration_or_a_sentence(text):
    with contextlib.suppress(ConfigError):
        parse_config(text, source="fuzz")


@given(st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=10),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(
        st.sampled_from(["species", "type", "msd", "lags", "host", "thermo", "frame", "einstein", "window", "Ag",
                         "correlations"]),
        inner, max_size=3),
    max_leaves=12,
))  # fmt: skip
def test_any_data_is_a_configuration_or_a_sentence(data):
    import yaml

    with contextlib.suppress(ConfigError):
        parse_config(yaml.safe_dump(data), source="fuzz")


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (
            "restart: sometimes",
            "key 'restart' has the value 'sometimes', but input should be 'auto', 'never' or 'require'",
        ),
        ("generations: 0", "key 'generations' has the value 0, but input should be greater than or equal to 1"),
        ("checkpoint_steps: 0", "key 'checkpoint_steps' has the value 0"),
    ],
)
def test_keys_of_the_state(text, sentence):
    with pytest.raises(ConfigError, match=sentence):
        parse_config(text)


def test_global_fluxes_in_all_their_forms():
    config = parse_config("heat: c_flux\nstress: c_thermo_press\nfluxes: {1: f_x, b: [v_a, 'c_b[2]', f_c]}")
    assert [(flux.key, flux.names, flux.sources) for flux in find_global_fluxes(config)] == [
        ("heat", ("energy/energy",), ("c_flux[1]", "c_flux[2]", "c_flux[3]")),
        ("stress", ("stress/shear", "stress/normal"), tuple(f"c_thermo_press[{i}]" for i in range(1, 7))),
        ("fluxes.1", ("flux/1",), ("f_x[1]", "f_x[2]", "f_x[3]")),
        ("fluxes.b", ("flux/b",), ("v_a", "c_b[2]", "f_c")),
    ]
    assert parse_config(config.model_dump_json()) == config
    words = ["heat.all", "c_flux", "heat.shifted", "v_x v_y f_z[3]", "stress", "f_a f_b f_c v_d v_e v_f"]
    config = parse_config("heat: {none: c_no}", words_to_overrides(words))
    assert [flux.key for flux in find_global_fluxes(config)] == ["heat.none", "heat.all", "heat.shifted", "stress"]
    assert find_global_fluxes(config)[2].sources == ("v_x", "v_y", "f_z[3]")
    assert find_global_fluxes(config)[3].sources == ("f_a", "f_b", "f_c", "v_d", "v_e", "v_f")
    assert find_global_fluxes(parse_config("block: 3")) == ()


def test_definitions_stand_beside_names_and_survive_json():
    text = """
representations:
  atomic:
  model: {charge: "c_ml[2]"}
  fixed: {born: {Mg: [[2, 0, 0], [0, 2, 0], [0, 0, 2]], O: -2}}
  centres: {carriers: {1: 1.0, O: -2}}
"""
    config = parse_config(text, {"representations.born.born": "d2_z"})
    assert config.representations is not None
    assert list(config.representations) == ["atomic", "model", "fixed", "centres", "born"]
    fixed = config.representations["fixed"]
    assert fixed is not None
    assert fixed.born == {"Mg": ((2, 0, 0), (0, 2, 0), (0, 0, 2)), "O": ((-2, 0, 0), (0, -2, 0), (0, 0, -2))}
    assert Config.model_validate_json(config.model_dump_json()) == config
    assert list(parse_config("representations: atomic", {"representations.b.born": "d2_z"}).representations or ()) == [
        "atomic", "b"
    ]  # fmt: skip
