package bitrix24sim

import (
	"encoding/base64"
	"fmt"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"

	"crmsync/connectors/internal/simcrm"
)

// file is one attached to a comment.
type file struct {
	id     int64
	shown  simcrm.File
	author int64
	at     time.Time
}

// drive is where the files of comments lie, a folder to each user.
type drive struct {
	// names are those in use, by user.
	nextID int64
	names  map[string]bool
}

// files are those that a comment has once this is written. Bitrix24:
// crm.timeline.comment.add and how to upload files, pairs of a name and base64.
//
// What an update does is taken from the product's own code, modules/crm/lib/
// controller/timeline/comment.php in avshatalov48/bitrix24-core-corp: the files
// sent are the whole list from then on, one that sends none takes all away, and
// only ATTACHMENTS, which no page knows, keeps some by their ids, when there are
// no new ones. The knob KeepFiles is for what the pages say of file fields in general.
func (s *Server) files(c *call, given *dict, had []*file) []*file {
	list, sent := given.vals["FILES"]
	if s.knobs.KeepFiles && !sent {
		return had
	}
	kept := func(v any) *file {
		id, _ := number(v)
		if at := slices.IndexFunc(had, func(f *file) bool { return f.id == id }); at >= 0 {
			return had[at]
		}
		return nil
	}
	var out []*file
	pairs, _ := list.(*dict)
	for _, k := range pairs.names() {
		pair, _ := pairs.vals[k].(*dict)
		name, content := str(pair.get("0")), decodeLoosely(str(pair.get("1")))
		if id, there := pair.either("id"); there && s.knobs.KeepFiles {
			if f := kept(id); f != nil {
				out = append(out, f)
			}
			continue
		}
		// What is no file is passed over without a word.
		if name == "" || len(content) == 0 {
			continue
		}
		s.drive.nextID++
		f := &file{id: s.drive.nextID, author: c.who.user, at: s.Now()}
		f.shown = simcrm.NewFile(s.drive.unique(c.who.user, name), content)
		out = append(out, f)
	}
	if len(out) == 0 {
		ids := given.dict("ATTACHMENTS")
		for _, k := range ids.names() {
			if f := kept(ids.vals[k]); f != nil {
				out = append(out, f)
			}
		}
	}
	return out
}

// decodeLoosely decodes base64 as PHP does, which passes over what is none.
func decodeLoosely(text string) []byte {
	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
	text = strings.Map(func(r rune) rune {
		if strings.ContainsRune(alphabet, r) {
			return r
		}
		return -1
	}, text)
	if len(text)%4 == 1 {
		text = text[:len(text)-1]
	}
	content, _ := base64.RawStdEncoding.DecodeString(text)
	return content
}

// unique is the name under which the drive keeps a file: a user's second
// a.pdf is a (1).pdf.
func (d *drive) unique(user int64, name string) string {
	if d.names == nil {
		d.names = map[string]bool{}
	}
	extension := path.Ext(name)
	free := name
	for n := 1; d.names[fmt.Sprint(user, "/", strings.ToLower(free))]; n++ {
		free = fmt.Sprintf("%s (%d)%s", strings.TrimSuffix(name, extension), n, extension)
	}
	d.names[fmt.Sprint(user, "/", strings.ToLower(free))] = true
	return free
}

// filesShown are a comment's files as crm.timeline.comment.get tells of them.
func (s *Server) filesShown(list []*file) obj {
	out := obj{}
	for _, f := range list {
		kind := "file"
		if slices.Contains([]string{".jpg", ".jpeg", ".png", ".gif", ".webp", ".bmp"}, strings.ToLower(path.Ext(f.shown.Name))) {
			kind = "image"
		}
		id := strconv.FormatInt(f.id, 10)
		out[id] = obj{
			"id": f.id, "date": s.stamp(f.at), "type": kind, "name": f.shown.Name, "size": f.shown.Size,
			"authorId": f.author, "authorName": "User " + strconv.FormatInt(f.author, 10),
			"urlPreview": "/disk/showFile/" + id + "/?&ncc=1&width=640&height=640", "urlShow": "/disk/showFile/" + id + "/?&ncc=1",
			"urlDownload": "/disk/downloadFile/" + id + "/?&ncc=1",
		}
	}
	return out
}
