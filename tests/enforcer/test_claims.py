from __future__ import annotations

from enforcer.claims import Claim, FieldClaims, priority_of

SPEC = Claim("spec", priority_of("spec"), 64)
POLICY = Claim("policy:p", priority_of("policy:p", 100), 80, deadline_ns=50)
PERSON = Claim("operator", priority_of("operator"), 96)
PERSON_FOR_A_WHILE = Claim("operator", priority_of("operator"), 128, deadline_ns=30)


def test_people_stand_above_policies_and_policies_above_the_spec() -> None:
    claims = FieldClaims("max", (SPEC, POLICY, PERSON))

    assert claims.value(0) == 96
    assert claims.without("operator").value(0) == 80
    assert claims.without("operator").without("policy:p").value(0) == 64
    assert FieldClaims("max").value(0) == "max"


def test_leases_end_one_after_the_other() -> None:
    claims = FieldClaims("max", (SPEC, POLICY, PERSON_FOR_A_WHILE))

    assert claims.timeline(0) == [(30, 80), (50, 64)]
    assert claims.timeline(30) == [(50, 64)]


def test_a_lease_that_ends_below_a_higher_claim_changes_nothing() -> None:
    assert FieldClaims("max", (POLICY, PERSON)).timeline(0) == []


def test_a_persons_lease_lies_over_what_the_person_had_set() -> None:
    claims = FieldClaims("max").with_claim(PERSON).with_claim(PERSON_FOR_A_WHILE)

    assert claims.value(0) == 128
    assert claims.timeline(0) == [(30, 96)]


def test_a_lasting_wish_replaces_a_persons_lease() -> None:
    claims = FieldClaims("max").with_claim(PERSON_FOR_A_WHILE).with_claim(PERSON)

    assert claims.claims == (PERSON,)


def test_without_people_and_policies_the_spec_applies() -> None:
    assert FieldClaims("max", (SPEC, PERSON)).resting() == 64
    assert FieldClaims("max", (PERSON,)).resting() == "max"
