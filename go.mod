module github.com/calm-go/calm

go 1.26
