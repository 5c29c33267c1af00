// Prints the rows of src/util/go_math_test.cc: checksums of what Go's math package answers to many
// arguments. Run with: go run tests/differential/go_math.go (on amd64 with FMA).
//
// Arguments come from splitmix64, in blocks of 4,096 by their kind; a checksum is the FNV-1a hash
// over the results' bits, with all NaNs as one.
package main

import (
	"fmt"
	"math"
)

type source struct{ state uint64 }

func (s *source) next() uint64 {
	s.state += 0x9e3779b97f4a7c15
	z := s.state
	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9
	z = (z ^ (z >> 27)) * 0x94d049bb133111eb
	return z ^ (z >> 31)
}

func (s *source) unit() float64 { return float64(s.next()>>11) / (1 << 53) }

var kinds = []struct {
	name string
	draw func(*source) float64
}{
	{"bits", func(s *source) float64 { return math.Float64frombits(s.next()) }},
	{"unit", func(s *source) float64 { return s.unit()*2 - 1 }},
	{"ten", func(s *source) float64 { return s.unit()*20 - 10 }},
	{"thousand", func(s *source) float64 { return s.unit()*2000 - 1000 }},
	{"large", func(s *source) float64 { return s.unit() * 4e15 }},
	{"whole", func(s *source) float64 { return float64(int64(s.next()>>56) - 128) }},
	{"half", func(s *source) float64 { return float64(int64(s.next()>>54)-512) / 8 }},
	{"small", func(s *source) float64 { return math.Ldexp(s.unit()-0.5, -int(s.next()%64)) }},
}

const perKind = 4096

func sum(seed uint64, draw func(*source) float64, f func(float64, *source) float64) uint64 {
	s := &source{seed}
	hash := uint64(0xcbf29ce484222325)
	for i := 0; i < perKind; i++ {
		bits := math.Float64bits(f(draw(s), s))
		if f := math.Float64frombits(bits); f != f {
			bits = 0x7ff8000000000000
		}
		hash = (hash ^ bits) * 0x100000001b3
	}
	return hash
}

func main() {
	one := func(f func(float64) float64) func(float64, *source) float64 {
		return func(x float64, _ *source) float64 { return f(x) }
	}
	for _, row := range []struct {
		name string
		f    func(float64) float64
	}{
		{"Log", math.Log}, {"Log2", math.Log2}, {"Log10", math.Log10}, {"Log1p", math.Log1p},
		{"Exp", math.Exp}, {"Exp2", math.Exp2}, {"Sin", math.Sin}, {"Cos", math.Cos},
		{"Tan", math.Tan}, {"Asin", math.Asin}, {"Acos", math.Acos}, {"Atan", math.Atan},
		{"Sinh", math.Sinh}, {"Cosh", math.Cosh}, {"Tanh", math.Tanh}, {"Asinh", math.Asinh},
		{"Acosh", math.Acosh}, {"Atanh", math.Atanh},
	} {
		fmt.Printf("    {\"%s\", %s, {", row.name, row.name)
		for k, kind := range kinds {
			fmt.Printf("%#x, ", sum(uint64(k+1), kind.draw, one(row.f)))
		}
		fmt.Println("}},")
	}
	for _, row := range []struct {
		name string
		f    func(x, y float64) float64
	}{{"Pow", math.Pow}, {"Atan2", math.Atan2}} {
		for k, first := range kinds {
			fmt.Printf("    {\"%s of %s\", %s, %d, {", row.name, first.name, row.name, k)
			for l, second := range kinds {
				fmt.Printf("%#x, ", sum(uint64(100+k*len(kinds)+l), first.draw,
					func(x float64, s *source) float64 { return row.f(x, second.draw(s)) }))
			}
			fmt.Println("}},")
		}
	}
}
