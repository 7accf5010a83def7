"""Which result of a few-shot run its report looks at."""

from fewshot_sla.meta.overview.parts import shown_result
from tests.fewshot_sla.meta.test_tables import result


def test_images_as_they_are_come_before_crops_and_test_before_validation() -> None:
    crops, plain, more, val = (
        result(primary=True, crops=10, k_shot=1),
        result(primary=True, crops=1, k_shot=1),
        result(primary=True, crops=1, k_shot=5),
        result(primary=True, crops=1, k_shot=1, split="val"),
    )
    assert shown_result([crops, more, plain, val]) is plain
    assert shown_result([val, crops, more]) is more
    assert shown_result([val, crops]) is crops
    assert shown_result([result(primary=False)]) is None
