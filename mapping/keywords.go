package mapping

import (
	"strings"
	"sync"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/cases"
	"golang.org/x/text/unicode/norm"
)

// marks are those that people leave out as they type: accents, and the points of
// Hebrew and Arabic. Those of other scripts are letters.
var marks = &unicode.RangeTable{R16: []unicode.Range16{
	{Lo: 0x0300, Hi: 0x036F, Stride: 1},
	{Lo: 0x0483, Hi: 0x0487, Stride: 1},
	{Lo: 0x0591, Hi: 0x05BD, Stride: 1},
	{Lo: 0x05BF, Hi: 0x05C7, Stride: 1},
	{Lo: 0x0610, Hi: 0x061A, Stride: 1},
	{Lo: 0x0640, Hi: 0x0640, Stride: 1}, // which stretches a word
	{Lo: 0x064B, Hi: 0x065F, Stride: 1},
	{Lo: 0x0670, Hi: 0x0670, Stride: 1},
}}

// unspaced are the scripts in which words stand without spaces between them, or
// with endings that run on, as in Korean.
var unspaced = []*unicode.RangeTable{
	unicode.Han, unicode.Hiragana, unicode.Katakana, unicode.Hangul, unicode.Bopomofo, unicode.Thai, unicode.Lao, unicode.Khmer, unicode.Myanmar, unicode.Tibetan,
	japanese,
}

// japanese are the letters and marks that belong to no one script, such as the sign
// of a long vowel.
var japanese = &unicode.RangeTable{R16: []unicode.Range16{
	{Lo: 0x3006, Hi: 0x3006, Stride: 1},
	{Lo: 0x3031, Hi: 0x3035, Stride: 1},
	{Lo: 0x303C, Hi: 0x303C, Stride: 1},
	{Lo: 0x3099, Hi: 0x309C, Stride: 1},
	{Lo: 0x30FC, Hi: 0x30FC, Stride: 1},
}}

// folded is a text as words are compared: without regard to case and accents, with
// one space between words and nothing else, and one between words and what is
// written without spaces. Signs such as emoji are written without spaces.
func folded(text string) string {
	b := make([]byte, 0, len(text)+8)
	before := gap
	add := func(r rune) {
		kind := kindOfRune(r)
		if kind != gap {
			if len(b) > 0 && before != kind {
				b = append(b, ' ')
			}
			b = utf8.AppendRune(b, r)
		}
		before = kind
	}
	for i := 0; i < len(text); {
		if ch := text[i]; ch < utf8.RuneSelf {
			if 'A' <= ch && ch <= 'Z' {
				ch += 'a' - 'A'
			}
			add(rune(ch))
			i++
			continue
		}
		end := i
		for end < len(text) && text[end] >= utf8.RuneSelf {
			end++
		}
		for _, r := range bare(text[i:end]) {
			add(r)
		}
		i = end
	}
	return string(b)
}

// bare is a text without accents, and without regard to case.
func bare(text string) string {
	if r, size := utf8.DecodeRuneInString(text); size == len(text) && firstLatin <= r && r < firstLatin+latins {
		return bareLatin()[r-firstLatin] // as nearly all that stand among letters without
	}
	return bareText(text)
}

// firstLatin is where Latin letters with accents begin.
const (
	firstLatin = 0xC0
	latins     = 0x190
)

var bareLatin = sync.OnceValue(func() *[latins]string {
	letters := new([latins]string)
	for i := range letters {
		letters[i] = bareText(string(rune(firstLatin + i)))
	}
	return letters
})

func bareText(text string) string {
	text = strings.Map(func(r rune) rune {
		if unicode.Is(marks, r) || unicode.Is(unicode.Cf, r) || unicode.Is(unicode.Variation_Selector, r) {
			return -1
		}
		return r
	}, norm.NFKD.String(text))
	return norm.NFC.String(alike.Replace(fold.String(text)))
}

// alike are letters that people type for one another, and that are no accents to
// Unicode.
var alike = strings.NewReplacer("đ", "d", "ł", "l", "ø", "o", "ı", "i", "ک", "ك", "ی", "ي", "ى", "ي")

// fold is safe for concurrent use: it has no state.
var fold = cases.Fold()

const (
	gap = iota
	spaced
	runsOn
)

func kindOfRune(r rune) int {
	switch {
	case r < utf8.RuneSelf:
		if 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9' {
			return spaced
		}
		return gap
	case unicode.In(r, unspaced...):
		return runsOn
	case unicode.IsLetter(r), unicode.IsDigit(r), unicode.IsMark(r):
		return spaced
	case unicode.In(r, unicode.So, unicode.Sk):
		return runsOn
	}
	return gap
}

// keywords finds those of a document's rules in a text: whole words, or parts of a
// text that is written without spaces.
type keywords struct {
	// byWord are those that begin with a word, by that; anywhere are the others.
	byWord   map[string][]keyword
	anywhere []keyword
	rules    int
}

// A keyword is one of a rule's, which has a number of its own here.
type keyword struct {
	rule int
	text string
}

// add adds keywords of one rule and returns its number.
func (k *keywords) add(words []string) (rule int) {
	if k.byWord == nil {
		k.byWord = map[string][]keyword{}
	}
	rule = k.rules
	k.rules++
	for _, word := range words {
		word = folded(word)
		first, _ := utf8.DecodeRuneInString(word)
		if kindOfRune(first) == runsOn {
			k.anywhere = append(k.anywhere, keyword{rule, word})
			continue
		}
		head, _, _ := strings.Cut(word, " ")
		k.byWord[head] = append(k.byWord[head], keyword{rule, word})
	}
	return rule
}

// in says of each rule whether one of its keywords is in a folded text.
func (k *keywords) in(text string) []bool {
	found := make([]bool, k.rules)
	for rest := text; rest != ""; {
		word, after, _ := strings.Cut(rest, " ")
		for _, w := range k.byWord[word] {
			if !found[w.rule] && strings.HasPrefix(rest, w.text) && ends(rest[len(w.text):], w.text) {
				found[w.rule] = true
			}
		}
		rest = after
	}
	for _, w := range k.anywhere {
		for at, rest := 0, text; !found[w.rule]; {
			i := strings.Index(rest, w.text)
			if i < 0 {
				break
			}
			at = i + len(w.text)
			found[w.rule] = ends(rest[at:], w.text)
			rest = rest[at:]
		}
	}
	return found
}

// ends reports whether a keyword may end where rest follows.
func ends(rest, word string) bool {
	if rest == "" || rest[0] == ' ' {
		return true
	}
	last, _ := utf8.DecodeLastRuneInString(word)
	return kindOfRune(last) == runsOn
}
