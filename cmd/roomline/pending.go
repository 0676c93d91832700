package main

import "errors"

type benchCommand struct{}

func (*benchCommand) Run(b *bound) error { return errors.New("not yet") }
