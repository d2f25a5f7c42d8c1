package price

import (
	"math"
	"path/filepath"
	"reflect"
	"slices"
	"testing"
)

func TestMessages(t *testing.T) {
	for _, test := range []struct {
		size int
		want float64
	}{{0, 1}, {1, 1}, {32768, 1}, {32769, 2}, {65536, 2}, {131072, 4}} {
		if got := Messages(test.size); got != test.want {
			t.Errorf("%d bytes: %g, want %g", test.size, got, test.want)
		}
	}
}

// one is a usage of which every field has that value.
func one(value float64) (u Usage) {
	v := reflect.ValueOf(&u).Elem()
	for i := range v.NumField() {
		v.Field(i).SetFloat(value)
	}
	return u
}

func TestArithmeticLeavesNothingOut(t *testing.T) {
	if got := one(2).Plus(one(3)); got != one(5) {
		t.Errorf("2 + 3: %+v", got)
	}
	if got := one(2).Times(3); got != one(6) {
		t.Errorf("2 * 3: %+v", got)
	}
}

// Every field of a usage has exactly one price, and every service is on the bill.
func TestEverythingIsBilled(t *testing.T) {
	v := reflect.ValueOf(Usage{})
	for i := range v.NumField() {
		var u Usage
		reflect.ValueOf(&u).Elem().Field(i).SetFloat(1)
		priced := 0
		for _, item := range Items {
			if item.Of(u) != 0 {
				priced++
			}
		}
		if priced != 1 {
			t.Errorf("%s has %d prices", v.Type().Field(i).Name, priced)
		}
	}
	for service := range one(1).Dollars() {
		if !slices.Contains(Services, service) {
			t.Errorf("%s is none of Services", service)
		}
	}
}

func TestTotal(t *testing.T) {
	u := Usage{Messages: 1e6, ConnectionMinutes: 1e6, Invocations: 1e6, GBSeconds: 1e6, Write: 1e6, Read: 1e6, LogBytes: 1 << 30}
	want := 1 + 0.25 + 0.20 + 13.3334 + 0.625 + 0.125 + 0.50
	if got := u.Total(); math.Abs(got-want) > 1e-9 {
		t.Errorf("%g, want %g", got, want)
	}
	sum := 0.0
	for _, dollars := range u.Dollars() {
		sum += dollars
	}
	if math.Abs(sum-want) > 1e-9 {
		t.Errorf("by service: %g, want %g", sum, want)
	}
}

// Every function has an assumed duration.
func TestDurations(t *testing.T) {
	found, err := filepath.Glob("../../../functions/*/main.go")
	if err != nil || len(found) == 0 {
		t.Fatal(found, err)
	}
	for _, path := range found {
		name := filepath.Base(filepath.Dir(path))
		if Milliseconds[name] == 0 {
			t.Errorf("%s has none", name)
		}
	}
	if len(Milliseconds) != len(found) {
		t.Errorf("%d durations for %d functions", len(Milliseconds), len(found))
	}
}
