"""Class names: found by index, label or synonym; unknown ones answered with close matches; given to classes alone."""

from __future__ import annotations

import re
from collections import Counter

import pytest
import timm
from timm.data import ImageNetInfo

from timmscope import InvalidInput
from timmscope.registry.vision.labels import labels_for, labels_of

IMAGENET = labels_for(1000, 1000)
SUBSETS = ("imagenet-1k", "imagenet-12k", "imagenet-21k-miil", "imagenet-22k", "imagenet-22k-ms", "imagenet-21k-goog")
LABELLED = {info.num_classes(): info for info in map(ImageNetInfo, SUBSETS)}
LABELLED |= {19168: None, 115217: None}  # ImageNet's winter release and Bamboo, whose names timm does not have
SELF_TAUGHT = {"resmlp_12_224.fb_dino", "resmlp_24_224.fb_dino"}  # of 1,000 outputs; their cards say "No classifier"


@pytest.mark.parametrize(
    ("text", "index"),
    [
        ("0", 0),
        ("999", 999),
        (" 281 ", 281),
        ("tabby", 281),
        ("TABBY", 281),
        ("tabby cat", 281),  # a synonym
        ("tabby, tabby cat", 281),  # all of them
        ("tiger cat", 282),
        ("crane", 134),  # the bird is the first of two
        ("crane (517)", 517),
    ],
)
def test_found(text, index):
    assert IMAGENET.find(text) == index


@pytest.mark.case(57)
def test_every_short_label_finds_its_own_class():
    assert [IMAGENET.find(IMAGENET[i]) for i in range(1000)] == list(range(1000))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("1000", "target: got 1000, expected a class index from 0 to 999"),
        ("-1", "target: got -1, expected a class index from 0 to 999"),
        ("--5", "target: got '--5', expected a label of the model or an index from 0 to 999"),
        ("9" * 200, "expected a class index from 0 to 999"),
        ("tabbi", "target: got 'tabbi', expected a label of the model .* Did you mean tabby"),
        ("retriever", "Did you mean .* retriever"),
        ("retreiver", "Did you mean golden retriever"),
        ("orange cat", "Did you mean tabby cat, tiger cat"),
        ("hot-dog", "Did you mean hot dog"),
        ("²", "target: got '²'"),
        ("٣", "target: got '٣'"),
        ("", "target: got ''"),
    ],
)
def test_refused(text, message):
    with pytest.raises(InvalidInput, match=message):
        IMAGENET.find(text)


def test_other_networks_count():
    assert labels_for(7, 7)[6] == "class 6"
    assert labels_for(7, 7).find("class 6") == 6
    assert labels_for(0, 192)[3] == "feature 3"
    assert len(labels_for(0, 192)) == 192
    assert len(labels_for(21841, 21841)) == 21841


@pytest.mark.case(57)
@pytest.mark.parametrize("info", list(LABELLED.values())[:6], ids=SUBSETS)
def test_every_name_that_is_shown_is_unique_and_finds_its_class(info):
    labels = labels_for(info.num_classes(), info.num_classes())
    shown = [labels[i] for i in range(len(labels))]
    assert len({name.lower() for name in shown}) == len(shown) == info.num_classes()
    assert [labels.find(name) for name in shown] == list(range(len(labels)))
    first = [text.split(",")[0] for text in info.label_descriptions()]
    alone = Counter(name.lower() for name in first)
    for i, name in enumerate(first):
        assert shown[i] == (name if alone[name.lower()] == 1 else f"{name} ({i})")
        assert labels.find(str(i)) == i


def words(text: str) -> set[str]:
    return set(re.findall(r"[a-z]+", text.lower()))


@pytest.mark.case(61)
@pytest.mark.parametrize("word", ["cat", "dog", "snake", "truck", "ball", "bear", "shark", "Spider", "monkeys", "boat"])
def test_close_names_have_the_word_that_was_given(word):
    descriptions = list(ImageNetInfo("imagenet-1k").label_descriptions())
    with pytest.raises(InvalidInput) as caught:
        IMAGENET.find(word)
    found = re.search(r"Did you mean (.*)\?$", str(caught.value))[1].split(", ")
    close = found[: sum(word.lower().removesuffix("s") in words(text) for text in descriptions)]
    assert len(close) >= 2
    for name in close:
        assert word.lower().removesuffix("s") in words(name)
        assert name in descriptions[IMAGENET.find(name)].split(", ")
    assert len({IMAGENET.find(name) for name in close}) == len(close)


@pytest.mark.case(61)
def test_cat_means_the_cats():
    with pytest.raises(
        InvalidInput, match="Did you mean tabby cat, tiger cat, Persian cat, Siamese cat, Egyptian cat\\?"
    ):
        IMAGENET.find("cat")


@pytest.mark.case(11)
def test_every_pretrained_tag_has_classes_where_its_data_set_has_labels_and_features_elsewhere():
    towers = 0
    for name in timm.list_pretrained():
        config = timm.get_pretrained_cfg(name)
        count = config.num_classes
        labels = labels_of(config.to_dict(), count, count or 192)
        classifies = count in LABELLED and name not in SELF_TAUGHT
        assert (labels.noun == "class") == classifies, name
        assert len(labels) == (count or 192)
        if not classifies:
            assert labels[7] == "feature 7", name
            towers += bool(count)
        elif info := LABELLED[count]:
            assert labels[7].startswith(info.index_to_description(7).split(",")[0]), name
        else:
            assert labels[7] == "class 7", name
    assert towers == 115


@pytest.mark.case(11)
@pytest.mark.parametrize(
    ("config", "count", "expected"),
    [
        ({}, 10, "class 7"),
        ({}, 1000, "class 7"),  # any thousand classes
        ({"tag": "in1k"}, 1000, "cock"),
        ({"tag": "untrained", "architecture": "nf_regnet_b0"}, 1000, "class 7"),
        ({"tag": "v1"}, 512, "class 7"),
        ({"tag": "openai", "architecture": "vit_base_patch16_clip_224"}, 512, "feature 7"),
        ({"tag": "openai", "architecture": "vit_base_patch16_clip_224"}, 10, "class 7"),  # with a head of its own
        ({"tag": "laion2b_ft_in12k_in1k", "architecture": "vit_base_patch16_clip_224"}, 1000, "cock"),
        ({"tag": "a1_in1k", "architecture": "resnet50"}, 10, "class 7"),
        ({"tag": "a1_in1k", "architecture": "resnet50"}, 11821, "class 7"),
        ({"tag": "a1_in1k", "architecture": "resnet50"}, 0, "feature 7"),
    ],
)
def test_names_follow_from_what_a_network_was_taught(config, count, expected):
    assert labels_of(config, count, count or 192)[7] == expected
